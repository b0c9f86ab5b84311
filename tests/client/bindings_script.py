# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that uses libvmsan; its argument says for what. Run by test_bindings.py."""

import sys
import time

import gi

gi.require_version("Vmsan", "0")
from gi.repository import Gio, GLib, Vmsan  # noqa: E402

DEADLINE_S = 50


def options(**values):
    return GLib.Variant("a{sv}", {k.replace("_", "-"): v for k, v in values.items()})


def run_until(condition):
    end = time.monotonic() + DEADLINE_S
    tick = GLib.timeout_add(100, lambda: True)
    while not condition():
        assert time.monotonic() < end, "nothing happened within the deadline"
        GLib.MainContext.default().iteration(True)
    GLib.source_remove(tick)


def create(client):
    vm = client.create_vm_sync(options(image=GLib.Variant("s", "plain")), None)
    uid = vm.get_details_sync(None)["uid"]
    return vm, options(user=GLib.Variant("s", str(uid)))


def life(client):
    seen, states = [], []
    client.connect("hook", lambda _c, name, parameters: seen.append((name, parameters[1])))
    vm, _ = create(client)
    vm.connect("notify::state", lambda vm, _p: states.append(vm.props.state))
    assert vm.props.state == "running" and vm.props.vcpus == 1 and vm.props.memory_mib == 256
    # One machine is one object, however it is found.
    assert client.get_vm_sync(vm.props.id[:5], None) is vm
    assert vm in client.list_vms_sync(None, None)
    assert vm.stop_sync(None, None) in ("graceful", "forced")
    run_until(lambda: "stopped" in states)
    vm.start_sync(None, None)
    vm.remove_sync(options(force=GLib.Variant("b", True)), None)
    run_until(lambda: vm.props.removed)
    assert ("AfterStart", vm.props.id) in seen and client.props.version


def hooks(client):
    _, last, missed = client.get_events_sync(0, None)
    assert not missed
    vm, _ = create(client)
    events, now, missed = client.get_events_sync(last, None)
    assert not missed and now == last + len(events.unpack())
    first, name, values = events.unpack()[0]
    assert (first, name, values["id"]) == (last + 1, "BeforeCreate", vm.props.id)
    assert client.get_events_sync(1, None)[2]
    assert client.list_plugins_sync(None).unpack() == []
    answers = []
    client.list_plugins(None, lambda c, r: answers.append(c.list_plugins_finish(r)))
    client.get_events(now, None, lambda c, r: answers.append(c.get_events_finish(r)))
    run_until(lambda: len(answers) == 2)
    vm.remove_sync(options(force=GLib.Variant("b", True)), None)


def exec_(client):
    vm, user = create(client)
    process = vm.exec_sync(["sh", "-c", "cat; echo error >&2; exit 9"], user, None)
    assert process.props.pid > 0
    process.get_stdin().write_all(b"in\0put", None)
    process.get_stdin().close(None)
    assert process.get_stdout().read_bytes(100, None).get_data() == b"in\0put"
    assert process.get_stdout().read_bytes(100, None).get_size() == 0
    assert process.get_stderr().read_bytes(100, None).get_data() == b"error\n"
    assert process.wait_sync(None) and process.get_exit_code() == 9

    process = vm.exec_sync(["sleep", "100"], user, None)
    process.send_signal(15)
    assert process.wait_sync(None) and process.get_term_signal() == 15
    assert process.get_exit_code() == -1
    assert vm.run_sync(["sh", "-c", "echo hi; exit 4"], user, None) == (True, 4, 0, "hi\n", "")
    vm.remove_sync(options(force=GLib.Variant("b", True)), None)


def asynchronous(client):
    vm, user = create(client)
    ends = []

    def waited(process, result, data):
        assert process.wait_finish(result)
        ends.append((process.get_exit_code(), data["sink"].steal_as_bytes().get_data()))

    def spliced(sink, result, data):
        assert sink.splice_finish(result) > 0
        data["process"].wait(None, waited, data)

    def started(vm, result, number):
        process = vm.exec_finish(result)
        data = {"process": process, "sink": Gio.MemoryOutputStream.new_resizable()}
        data["sink"].splice_async(process.get_stdout(), Gio.OutputStreamSpliceFlags.CLOSE_TARGET, 0,
                                  None, spliced, data)

    for number in range(8):
        vm.exec(["sh", "-c", f"head -c 500000 /dev/urandom | od | tail -n 1; echo {number}; "
                 f"exit {number}"], user, None, started, number)
    run_until(lambda: len(ends) == 8)
    assert sorted(code for code, _ in ends) == list(range(8))
    assert all(data.endswith(b"\n%d\n" % code) for code, data in ends)
    vm.remove_sync(options(force=GLib.Variant("b", True)), None)


def doctor(client):
    checks = {finding["check"] for finding in client.doctor_sync(None, None).unpack()}
    assert {"driver", "uplink", "leaks"} <= checks
    results = []

    def examined(source, result):
        results.append(source.doctor_finish(result).unpack())

    client.doctor(options(repair=GLib.Variant("b", True)), None, examined)
    run_until(lambda: results)
    assert {finding["check"] for finding in results[0]} == checks
    fails(Vmsan.error_quark(), Vmsan.Error.UNKNOWN_OPTION, client.doctor_sync,
          options(nonsense=GLib.Variant("b", True)), None)


def fails(domain, code, function, *arguments):
    try:
        function(*arguments)
    except GLib.Error as error:
        assert error.matches(domain, code), (error.domain, error.code, error.message)
        assert "GDBus" not in error.message
        return
    raise AssertionError("it did not fail")


def errors(client):
    vm, user = create(client)
    fails(Vmsan.error_quark(), Vmsan.Error.NOT_FOUND, client.get_vm_sync, "nowhere", None)
    fails(Vmsan.error_quark(), Vmsan.Error.UNKNOWN_OPTION, client.create_vm_sync,
          options(nonsense=GLib.Variant("b", True)), None)
    fails(Vmsan.error_quark(), Vmsan.Error.WRONG_STATE, vm.start_sync, None, None)
    fails(Vmsan.process_error_quark(), Vmsan.ProcessError.NOT_FOUND,
          vm.exec_sync, ["nonesuch"], user, None)
    cancelled = Gio.Cancellable()
    cancelled.cancel()
    fails(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED, vm.exec_sync, ["true"], user, cancelled)
    vm.remove_sync(options(force=GLib.Variant("b", True)), None)
    fails(Vmsan.error_quark(), Vmsan.Error.NOT_FOUND, vm.start_sync, None, None)


def restart(client):
    """The service goes and comes back; objects live on."""
    vm, _ = create(client)
    changes = []
    client.connect("notify::available", lambda c, _p: changes.append(c.props.available))
    print("ready", flush=True)
    run_until(lambda: changes == [False, True])
    vm.stop_sync(options(force=GLib.Variant("b", True)), None)
    run_until(lambda: vm.props.state == "stopped")
    vm.remove_sync(None, None)
    run_until(lambda: vm.props.removed)


{"life": life, "exec": exec_, "asynchronous": asynchronous, "doctor": doctor,
 "errors": errors, "hooks": hooks, "restart": restart}[sys.argv[1]](Vmsan.Client.new_sync(None))
