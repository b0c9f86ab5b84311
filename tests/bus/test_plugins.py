# SPDX-License-Identifier: GPL-2.0-or-later
"""Plugins that are waited for, and the memory of events, with real peers on a real bus."""

import os
import random
import time

import pytest
from gi.repository import GLib

from caller import MANAGER, VM, BusError, options, wait_until
from interface import documented_options
from plugin import AGREE, Plugin, change, list_plugins, veto
from test_fuzz import SEED, random_options

VETOED = "org.vmsan.Error.Vetoed"
INVALID = "org.vmsan.Error.InvalidArgument"
HOOKS = ["BeforeCreate", "BeforeStart", "BeforeStop", "BeforeRemove", "BeforeNetworkPolicyChange"]
NOTHING = GLib.Variant("(a{sv})", ({},))
FORCE = GLib.Variant("(a{sv})", (options(force=True),))


@pytest.fixture
def peer(connect):
    """Who registers plugins."""
    return connect("root")


def create_args(**values):
    return GLib.Variant("(a{sv})", (options(
        **{"image": "busybox", "kernel": "host", "disk_mib": 32, "start": False, **values}),))


def start_create(caller, **values):
    return caller.start(*MANAGER, "CreateVM", create_args(**values))


def set_policy(caller, path, **values):
    return caller.call(path, VM, "SetNetworkPolicy", GLib.Variant("(a{sv})", (options(**values),)))


def details(world, path):
    return world.root.call(path, VM, "GetDetails")[0]


def strings(*values):
    return GLib.Variant("as", values)


def stored(path):
    return os.path.exists(os.path.join(os.environ["VMSAN_TEST_STATE_DIR"], "vms",
                                       os.path.basename(path) + ".json"))


# ---- Being asked


def test_a_plugin_is_asked_before_each_operation(world, peer):
    with Plugin(peer) as plugin:
        plugin.register("watcher", HOOKS)
        path = world.create(world.alice, name="seen", project="paint",
                            labels=GLib.Variant("a{ss}", {"colour": "red"}),
                            published_ports=strings("18080:80"))
        hook, event = plugin.asked[0]
        assert hook == "BeforeCreate"
        assert event["id"] == os.path.basename(path)
        assert (event["name"], event["owner"], event["actor"]) == ("seen", 4001, "uid:4001")
        assert (event["project"], event["labels"]) == ("paint", {"colour": "red"})
        assert (event["vcpus"], event["memory-mib"], event["disk-mib"]) == (1, 256, 32)
        assert event["network"]["network-policy"] == "allow-all"
        assert event["network"]["published-ports"] == ["127.0.0.1:18080:80/tcp"]
        assert event["network"]["address"] == details(world, path)["network"]["address"]
        set_policy(world.alice, path, network_policy="deny-all")
        assert plugin.asked[1][1]["network"]["network-policy"] == "deny-all"
        world.alice.call(path, VM, "Start", NOTHING)
        world.alice.call(path, VM, "Stop", FORCE)
        world.root.call(path, VM, "Remove", NOTHING)
        world.scratch.remove(path)
        assert plugin.hooks() == ["BeforeCreate", "BeforeNetworkPolicyChange", "BeforeStart",
                                  "BeforeStop", "BeforeRemove"]
        assert plugin.asked[-1][1]["actor"] == "uid:0"
        assert [(p["questions"], p["failures"]) for p in list_plugins(world.alice)] == [(5, 0)]


def test_a_plugin_sees_what_is_left_out_of_the_confinement(world, peer):
    with Plugin(peer) as plugin:
        plugin.register("auditor", ["BeforeCreate"])
        world.create(world.root, network="none", disable_netns=True, disable_seccomp=True,
                     disable_cgroup=False)
        assert {key for key in plugin.asked[0][1] if key.startswith("disable-")} == {
            "disable-netns", "disable-seccomp"}
        assert plugin.asked[0][1]["disable-netns"] is True


def test_what_boots_is_asked_about_before_anything_is_made(world, peer):
    def answer(hook, event):
        assert not stored(event["id"])
        return AGREE

    with Plugin(peer, answer) as plugin:
        plugin.register("early", HOOKS)
        path = world.create(world.alice, start=True)
        assert plugin.hooks() == ["BeforeCreate", "BeforeStart"]
        assert world.alice.get(path, VM, "State") == "running"
        assert list_plugins(peer)[0]["failures"] == 0


def test_only_the_hooks_that_were_asked_for_are_asked_about(world, peer):
    with Plugin(peer) as plugin:
        plugin.register("remover", ["BeforeRemove"])
        path = world.create(world.alice)
        assert plugin.asked == []
        world.alice.call(path, VM, "Remove", NOTHING)
        world.scratch.remove(path)
        assert plugin.hooks() == ["BeforeRemove"]


def test_plugins_are_asked_by_priority_and_then_by_registration(world, peer):
    order = []

    def answer(name):
        return lambda hook, event: order.append(name) or AGREE

    plugins = []
    for name, priority in [("late", 10), ("first-of-two", 0), ("early", -10), ("second-of-two", 0)]:
        plugins.append(Plugin(peer, answer(name), path=f"/test/{priority + 100}/{len(plugins)}"))
        plugins[-1].register(name, ["BeforeCreate"], priority=priority)
    try:
        world.create(world.alice)
        assert order == ["early", "first-of-two", "second-of-two", "late"]
        assert [p["name"] for p in list_plugins(peer)] == order
    finally:
        for plugin in plugins:
            plugin.__exit__()


def test_signals_are_sent_after_the_plugins_agreed(world, peer, connect):
    listener = connect("dave")
    listener.listen()
    with Plugin(peer, lambda hook, event: None) as plugin:
        plugin.register("slow", ["BeforeCreate"], deadline_ms=60000)
        pending = start_create(world.alice)
        plugin.wait_asked()
        listener.manager("ListPlugins")
        assert [s[0] for s in listener.signals] == []
        plugin.release()
        world.scratch.append(pending.result()[0])
    listener.wait_signal("AfterCreate")
    assert [s[0] for s in listener.signals] == ["BeforeCreate", "StateChanged", "AfterCreate"]


# ---- Vetoes


def test_a_vetoed_creation_leaves_nothing_and_only_the_caller_hears_why(world, peer, connect):
    listener = connect("dave")
    listener.listen()
    made = []

    def answer(hook, event):
        made.append(event["id"])
        return veto("not in\nthis house")

    with Plugin(peer, answer) as plugin:
        plugin.register("strict", ["BeforeCreate"])
        with pytest.raises(BusError) as refused:
            world.create(world.alice, name="never")
        assert refused.value.name == VETOED
        assert "“strict”" in refused.value.message
        assert refused.value.message.endswith("not in this house")
        signal = listener.wait_signal("Error")
        assert signal[1:3] == (made[0], 4001)
        assert signal[3:5] == ("create", VETOED)
        assert "house" not in repr(listener.signals)
        assert "strict" in signal[5]
        # Nothing began, so nothing was announced.
        assert "BeforeCreate" not in [s[0] for s in listener.signals]
        assert world.is_unchanged()
        assert not stored(made[0])
    # And the name is free.
    world.create(world.alice, name="never")


def test_the_second_question_of_a_creation_can_be_vetoed_too(world, peer):
    with Plugin(peer, lambda hook, event: veto("no") if hook == "BeforeStart" else AGREE) as plugin:
        plugin.register("no-start", HOOKS)
        with pytest.raises(BusError) as refused:
            world.create(world.alice, start=True)
        assert refused.value.name == VETOED
        assert plugin.hooks() == ["BeforeCreate", "BeforeStart"]
        assert world.is_unchanged()


@pytest.mark.parametrize("hook, method, args, machine", [
    ("BeforeStart", "Start", NOTHING, "idle_vm"),
    ("BeforeStop", "Stop", FORCE, "vm"),
    ("BeforeStop", "Remove", FORCE, "vm"),
    ("BeforeRemove", "Remove", FORCE, "vm"),
    ("BeforeRemove", "Remove", NOTHING, "idle_vm"),
    ("BeforeNetworkPolicyChange", "SetNetworkPolicy",
     GLib.Variant("(a{sv})", (options(network_policy="deny-all"),)), "vm"),
])
def test_each_verb_can_be_vetoed_with_nothing_done(world, peer, hook, method, args, machine):
    path = getattr(world, machine)
    pid = details(world, path).get("pid")
    with Plugin(peer, lambda h, event: veto("because") if h == hook else AGREE) as plugin:
        plugin.register("strict", HOOKS)
        with pytest.raises(BusError) as refused:
            world.alice.call(path, VM, method, args)
        assert refused.value.name == VETOED
        assert "because" in refused.value.message
    assert world.is_unchanged()
    now = details(world, path)
    assert now.get("pid") == pid
    assert now["network"]["network-policy"] == "allow-all"


def test_after_a_veto_the_others_are_not_asked(world, peer):
    with Plugin(peer, lambda hook, event: veto("no"), path="/test/A") as first, \
            Plugin(peer, path="/test/B") as second:
        first.register("first", ["BeforeCreate"])
        second.register("second", ["BeforeCreate"])
        with pytest.raises(BusError):
            world.create(world.alice)
        assert len(first.asked) == 1 and second.asked == []


def test_a_long_reason_is_cut(world, peer):
    with Plugin(peer, lambda hook, event: veto("é" * 100000)) as plugin:
        plugin.register("talker", ["BeforeCreate"])
        with pytest.raises(BusError) as refused:
            world.create(world.alice)
        assert refused.value.message.endswith("é…")
        assert len(refused.value.message) < 600


# ---- Changes


def test_what_one_plugin_changes_the_next_one_sees(world, peer):
    def first_answer(hook, event):
        return change(labels=GLib.Variant("a{ss}", {**event["labels"], "checked": "yes"}),
                      skip_dnat=True, denied_cidrs=strings("10.0.0.0/8"))

    with Plugin(peer, first_answer, path="/test/A") as first, \
            Plugin(peer, path="/test/B") as second:
        first.register("labeller", ["BeforeCreate"])
        second.register("reader", ["BeforeCreate"])
        path = world.create(world.alice, labels=GLib.Variant("a{ss}", {"mine": "too"}),
                            published_ports=strings("18080:80"))
        for found in (second.asked[0][1], details(world, path)):
            assert found["labels"] == {"mine": "too", "checked": "yes"}
            assert found["network"]["skip-dnat"] is True
            assert found["network"]["network-policy"] == "custom"
            assert found["network"]["denied-cidrs"] == ["10.0.0.0/8"]
            assert found["network"]["published-ports"] == ["127.0.0.1:18080:80/tcp"]


def test_a_start_keeps_what_was_changed_and_tells_who_did(world, peer, connect):
    listener = connect("dave")
    listener.listen()
    path = world.create(world.alice)
    with Plugin(peer, lambda hook, event: change(network_policy="deny-all")) as plugin:
        plugin.register("closer", ["BeforeStart"])
        world.alice.call(path, VM, "Start", NOTHING)
    assert details(world, path)["network"]["network-policy"] == "deny-all"
    signal = listener.wait_signal("NetworkPolicyChanged")
    assert signal[3:] == ("allow-all", "deny-all", "", "plugin closer")


def test_a_change_of_policy_can_be_made_narrower(world, peer):
    path = world.create(world.alice)
    with Plugin(peer, lambda hook, event: change(
            allowed_cidrs=strings("192.0.2.0/25"))) as plugin:
        plugin.register("halver", ["BeforeNetworkPolicyChange"])
        set_policy(world.alice, path, allowed_cidrs=strings("192.0.2.0/24"))
    assert details(world, path)["network"]["allowed-cidrs"] == ["192.0.2.0/25"]


def test_ports_can_be_taken_away(world, peer):
    with Plugin(peer, lambda hook, event: change(published_ports=strings("18081:80"))) as plugin:
        plugin.register("doorman", ["BeforeCreate"])
        path = world.create(world.alice, published_ports=strings("18080:80", "18081:80"))
    assert details(world, path)["network"]["published-ports"] == ["127.0.0.1:18081:80/tcp"]


WIDER = {
    "addresses": change(allowed_cidrs=strings("192.0.2.0/23")),
    "all": change(network_policy="allow-all"),
    "fewer-denied": change(denied_cidrs=strings()),
    "names": change(allowed_domains=strings("*.test")),
    "pings": change(allow_icmp=True),
    "bandwidth": change(bandwidth_mbit=0),
    "ports": change(skip_dnat=False),
}


@pytest.mark.parametrize("fail_open", [True, False])
@pytest.mark.parametrize("answer", WIDER.values(), ids=WIDER)
def test_a_wider_policy_is_a_failure_and_changes_nothing(world, peer, answer, fail_open):
    wanted = dict(allowed_cidrs=strings("192.0.2.0/24"), denied_cidrs=strings("192.0.2.7"),
                  allow_icmp=False, bandwidth_mbit=100, skip_dnat=True)
    with Plugin(peer, lambda hook, event: answer) as plugin:
        plugin.register("opener", ["BeforeCreate"], fail_open=fail_open)
        if fail_open:
            network = details(world, world.create(world.alice, **wanted))["network"]
            assert network["allowed-cidrs"] == ["192.0.2.0/24"]
            assert network["denied-cidrs"] == ["192.0.2.7/32"]
            assert (network["allow-icmp"], network["skip-dnat"]) == (False, True)
            assert network["bandwidth-mbit"] == 100
        else:
            with pytest.raises(BusError) as refused:
                world.create(world.alice, **wanted)
            assert refused.value.name == VETOED
            assert "“opener”" in refused.value.message
            assert "narrower" in refused.value.message
            assert world.is_unchanged()
        assert list_plugins(peer)[0]["failures"] == 1


# ---- Failures


def giant():
    return {"veto": GLib.Variant("s", "x"), **{str(n): GLib.Variant("u", n) for n in range(50000)}}


FAILURES = {
    "error": (lambda: 1 / 0, "a{sv}"),
    "unknown-key": (lambda: {"allow": GLib.Variant("b", True)}, "a{sv}"),
    "veto-of-another-type": (lambda: {"veto": GLib.Variant("b", True)}, "a{sv}"),
    "options-of-another-type": (lambda: {"options": GLib.Variant("as", [])}, "a{sv}"),
    "unknown-option": (lambda: change(no_such_thing=True), "a{sv}"),
    "option-of-another-type": (lambda: change(skip_dnat="yes"), "a{sv}"),
    "option-that-stays": (lambda: change(memory_mib=64), "a{sv}"),
    "owner": (lambda: change(owner=0), "a{sv}"),
    "confinement": (lambda: change(disable_seccomp=True), "a{sv}"),
    "ports": (lambda: change(published_ports=strings("18081:22")), "a{sv}"),
    "too-many-labels": (lambda: change(labels=GLib.Variant(
        "a{ss}", {str(n): "x" for n in range(33)})), "a{sv}"),
    "too-many-cidrs": (lambda: change(denied_cidrs=strings(*["10.0.0.1"] * 1025)), "a{sv}"),
    "no-cidr": (lambda: change(denied_cidrs=strings("x")), "a{sv}"),
    "giant-dictionary": (giant, "a{sv}"),
    "giant-options": (lambda: {"options": GLib.Variant("a{sv}", giant())}, "a{sv}"),
    "a-text": (lambda: GLib.Variant("(s)", ("yes",)), "s"),
    "texts": (lambda: GLib.Variant("(a{ss})", ({"veto": "x"},)), "a{ss}"),
}


@pytest.mark.parametrize("fail_open", [True, False])
@pytest.mark.parametrize("make, signature", FAILURES.values(), ids=FAILURES)
def test_a_wrong_answer_is_a_failure(world, peer, make, signature, fail_open):
    with Plugin(peer, lambda hook, event: make(), signature=signature) as plugin:
        plugin.register("broken", ["BeforeCreate"], fail_open=fail_open)
        if fail_open:
            path = world.create(world.alice)
            assert details(world, path)["labels"] == {}
        else:
            with pytest.raises(BusError) as refused:
                world.create(world.alice)
            assert refused.value.name == VETOED
            assert "“broken” must agree" in refused.value.message
            assert world.is_unchanged()
        assert list_plugins(peer)[0]["failures"] == 1


def test_random_answers_are_survived_and_open_nothing(world, peer):
    """The seed is printed and can be given as VMSAN_TEST_SEED."""
    dice = random.Random(f"{SEED}plugins")
    print("seed", SEED)
    known = {**documented_options("org.vmsan.Manager", "CreateVM"), "veto": "s"}
    cidrs = ["192.0.2.0/24", "192.0.2.0/25", "192.0.2.9", "0.0.0.0/0", "2001:db8::/32", "x"]

    def answer(hook, event):
        values = random_options(dice, known) if dice.random() < 0.5 else {}
        for key in ("allowed-cidrs", "denied-cidrs"):
            if dice.random() < 0.5:
                values[key] = strings(*dice.sample(cidrs, dice.randrange(3)))
        values.pop("start", None)
        wrapped = {"options": GLib.Variant("a{sv}", values)}
        return dice.choice([wrapped, wrapped, wrapped, values])

    outcomes = set()
    with Plugin(peer, answer) as plugin:
        plugin.register("random", ["BeforeCreate"], fail_open=True)
        for _ in range(100):
            try:
                path = world.create(world.alice, allowed_cidrs=strings("192.0.2.0/24"),
                                    allow_icmp=False, bandwidth_mbit=10)
            except BusError as error:
                assert error.name == VETOED
                outcomes.add("vetoed")
                continue
            got = details(world, path)
            network = got["network"]
            assert network["network-policy"] in ("custom", "deny-all")
            assert set(network["allowed-cidrs"]) <= {"192.0.2.0/24", "192.0.2.0/25",
                                                     "192.0.2.9/32"}
            assert (network["allow-icmp"], network["allowed-domains"]) == (False, [])
            assert 1 <= network["bandwidth-mbit"] <= 10
            assert (network["published-ports"], got["project"]) == ([], "")
            outcomes.add("denied" if network["denied-cidrs"] else network["network-policy"])
            world.root.call(path, VM, "Remove", NOTHING)
            world.scratch.remove(path)
        assert list_plugins(peer)[0]["failures"] > 10
    # It was not always the same.
    assert len(outcomes) > 1, outcomes


def test_changes_where_nothing_can_be_changed_are_a_failure(world, peer):
    path = world.create(world.alice)
    with Plugin(peer, lambda hook, event: change(skip_dnat=True)) as plugin:
        plugin.register("meddler", ["BeforeRemove"])
        with pytest.raises(BusError) as refused:
            world.alice.call(path, VM, "Remove", NOTHING)
        assert refused.value.name == VETOED
    assert world.is_unchanged()


def test_labels_are_fixed_once_a_machine_is_made(world, peer):
    path = world.create(world.alice)
    with Plugin(peer, lambda hook, event: change(labels=GLib.Variant("a{ss}", {}))) as plugin:
        plugin.register("meddler", ["BeforeStart"])
        with pytest.raises(BusError) as refused:
            world.alice.call(path, VM, "Start", NOTHING)
        assert refused.value.name == VETOED


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_deadline_that_passes_is_a_failure(world, peer, fail_open):
    with Plugin(peer, lambda hook, event: None) as plugin:
        plugin.register("stuck", ["BeforeCreate"], deadline_ms=300, fail_open=fail_open)
        began = time.monotonic()
        if fail_open:
            world.create(world.alice)
        else:
            with pytest.raises(BusError) as refused:
                world.create(world.alice)
            assert refused.value.name == VETOED
            assert world.is_unchanged()
        assert time.monotonic() - began >= 0.3
        # An answer that is too late is nobody's.
        plugin.release(veto("too late"))
        assert list_plugins(peer)[0]["failures"] == 1


def test_a_plugin_without_its_object_is_a_failure(world, peer):
    peer.manager("RegisterPlugin", GLib.Variant("(oa{sv})", ("/not/there", options(
        name="empty", hooks=strings("BeforeCreate")))))
    with pytest.raises(BusError) as refused:
        world.create(world.alice)
    assert refused.value.name == VETOED
    peer.manager("UnregisterPlugin", GLib.Variant("(o)", ("/not/there",)))


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_plugin_that_dies_while_it_is_asked_is_a_failure(world, users, connect, fail_open):
    peer = connect("root")
    plugin = Plugin(peer, lambda hook, event: None)
    plugin.register("mortal", ["BeforeCreate"], deadline_ms=60000, fail_open=fail_open)
    pending = start_create(world.alice)
    plugin.wait_asked()
    began = time.monotonic()
    peer.close()
    if fail_open:
        world.scratch.append(pending.result()[0])
    else:
        with pytest.raises(BusError) as refused:
            pending.result()
        assert refused.value.name == VETOED
        assert world.is_unchanged()
    assert time.monotonic() - began < 30
    wait_until(lambda: list_plugins(users["dave"]) == [], what="the end of the registration")
    # It is asked no more.
    world.create(world.alice)


# ---- What a stuck plugin does not do


def test_a_stuck_plugin_keeps_nothing_but_its_own_operation(world, peer, users):
    other = world.create(users["erin"])
    mine = world.create(world.alice)
    stuck = os.path.basename(mine)
    with Plugin(peer, lambda hook, event: None if event["id"] == stuck else AGREE) as plugin:
        plugin.register("half-stuck", HOOKS, deadline_ms=60000)
        pending = world.alice.start(mine, VM, "Start", NOTHING)
        plugin.wait_asked()
        # Others' machines, and everything else.
        users["erin"].call(other, VM, "Start", NOTHING)
        assert users["erin"].get(other, VM, "State") == "running"
        assert mine in users["dave"].manager("ListVMs", NOTHING)[0]
        world.alice.call(world.vm, VM, "Run", world.run_args("true"))
        # The machine itself is as it was, and says why it is busy.
        assert world.alice.get(mine, VM, "State") == "stopped"
        with pytest.raises(BusError) as busy:
            world.alice.call(mine, VM, "Remove", NOTHING)
        assert busy.value.name == "org.vmsan.Error.Busy"
        assert "plugins" in busy.value.message
        assert not pending.done
        plugin.release()
        pending.result()
        assert world.alice.get(mine, VM, "State") == "running"


def test_a_forced_removal_ends_what_waits_for_a_plugin(world, peer):
    path = world.create(world.alice)
    with Plugin(peer, lambda hook, event: None if hook == "BeforeStart" else AGREE) as plugin:
        plugin.register("stuck", HOOKS, deadline_ms=60000)
        pending = world.alice.start(path, VM, "Start", NOTHING)
        plugin.wait_asked()
        world.alice.call(path, VM, "Remove", FORCE)
        world.scratch.remove(path)
        with pytest.raises(BusError) as cancelled:
            pending.result()
        assert cancelled.value.name == "org.vmsan.Error.Cancelled"
        assert plugin.hooks() == ["BeforeStart", "BeforeRemove"]
        assert list_plugins(peer)[0]["failures"] == 0


def test_a_caller_that_leaves_ends_what_waits_for_a_plugin(world, peer, connect):
    caller = connect("alice")
    listener = connect("dave")
    listener.listen()
    with Plugin(peer, lambda hook, event: None) as plugin:
        plugin.register("stuck", ["BeforeCreate"], deadline_ms=60000)
        start_create(caller)
        plugin.wait_asked()
        caller.close()
        assert listener.wait_signal("Error")[4] == "org.vmsan.Error.Cancelled"
        assert world.is_unchanged()


def test_a_machine_that_ends_while_a_plugin_is_asked_is_cleaned_up_at_once(world, peer, connect):
    path = world.create(world.alice, start=True)
    listener = connect("dave")
    listener.listen()
    with Plugin(peer, lambda hook, event: None) as plugin:
        plugin.register("stuck", ["BeforeStop"], deadline_ms=60000)
        pending = world.alice.start(path, VM, "Stop", NOTHING)
        plugin.wait_asked()
        os.kill(details(world, path)["pid"], 9)
        with pytest.raises(BusError) as ended:
            pending.result(30)
        assert "ended meanwhile" in ended.value.message
        assert listener.wait_signal("AfterStop")[1] == os.path.basename(path)


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_plugin_that_never_answers_uses_up_no_replies(world, peer, users, fail_open):
    """The bus lets a connection wait for 128 replies, and polkit's are among them."""
    path = world.create(world.alice)

    def ask():
        if fail_open:
            set_policy(world.alice, path, network_policy="allow-all")
            return None
        with pytest.raises(BusError) as refused:
            set_policy(world.alice, path, network_policy="allow-all")
        assert refused.value.name == VETOED
        return refused.value.message

    with Plugin(peer, lambda hook, event: None, path="/test/A") as stuck, \
            Plugin(peer, path="/test/B") as healthy:
        stuck.register("stuck", ["BeforeNetworkPolicyChange"], deadline_ms=100,
                       fail_open=fail_open)
        healthy.register("healthy", ["BeforeCreate", "BeforeNetworkPolicyChange"])
        messages = [ask() for _ in range(140)]
        assert len(stuck.asked) == 8
        found = {p["name"]: (p["questions"], p["failures"]) for p in list_plugins(peer)}
        assert found["stuck"] == (8, 140)
        if fail_open:
            assert found["healthy"] == (140, 0)
        else:
            told = "“stuck” has not answered 8 questions yet"
            assert [told in message for message in messages] == [False] * 8 + [True] * 132
        # polkit is asked about this one, and the other plugin, too.
        world.create(users["erin"])
        assert healthy.hooks()[-1] == "BeforeCreate"
        # To register again does not help.
        stuck.unregister()
        stuck.register("again", ["BeforeNetworkPolicyChange"], deadline_ms=100,
                       fail_open=fail_open)
        ask()
        assert len(stuck.asked) == 8
        # A late answer changes nothing but makes room.
        stuck.held.pop().return_value(GLib.Variant("(a{sv})", (veto("too late"),)))
        ask()
        stuck.wait_asked(9)
        ask()
        assert len(stuck.asked) == 9
        stuck.release()
        stuck.answer = lambda hook, event: AGREE
        set_policy(world.alice, path, network_policy="deny-all")
        assert len(stuck.asked) == 10


def test_nobody_gets_past_a_plugin_by_keeping_it_busy(world, peer):
    def hold_unless_second(hook, event):
        return AGREE if event["name"].startswith("b") else None

    with Plugin(peer, hold_unless_second, path="/test/A") as first, \
            Plugin(peer, lambda hook, event: None, path="/test/B") as second, \
            Plugin(peer, path="/test/C") as third:
        for plugin, name, hook in [(first, "first", "BeforeCreate"),
                                   (second, "second", "BeforeCreate"),
                                   (third, "third", "BeforeNetworkPolicyChange")]:
            plugin.register(name, [hook], deadline_ms=60000, fail_open=True)
        # The ninth is not let through, though the plugin may fail.
        pending = [start_create(world.alice, name=f"b{n}") for n in range(8)]
        second.wait_asked(8)
        with pytest.raises(BusError) as refused:
            world.create(world.alice, name="b8")
        assert refused.value.name == "org.vmsan.Error.LimitExceeded"
        assert "“second”" in refused.value.message and " 8 " in refused.value.message
        pending += [start_create(world.alice, name=f"a{n}") for n in range(8)]
        wait_until(lambda: len(first.held) == 8, what="questions to the first")
        # Sixteen are all that a user may have, whoever asks.
        for caller in (world.alice, world.root):
            with pytest.raises(BusError) as refused:
                set_policy(caller, world.idle_vm, network_policy="deny-all")
            assert refused.value.name == "org.vmsan.Error.LimitExceeded"
            assert "“third”" in refused.value.message and " 16 " in refused.value.message
        assert third.asked == []
        assert all(p["failures"] == 0 for p in list_plugins(peer))
        first.release()
        second.answer = lambda hook, event: AGREE
        second.release()
        made = 0
        for one in pending:
            try:
                world.scratch.append(one.result()[0])
                made += 1
            except BusError as error:
                assert error.name == "org.vmsan.Error.LimitExceeded"
        assert made >= 8
        set_policy(world.alice, world.scratch[-1], network_policy="deny-all")
        assert len(third.asked) == 1


def test_a_needed_plugin_that_leaves_before_it_is_asked_has_not_agreed(world, peer, connect):
    with Plugin(peer, lambda hook, event: None, path="/test/A") as slow:
        slow.register("slow", ["BeforeCreate"], deadline_ms=60000)
        for values, refuses in [({"fail_open": True}, False), ({}, True)]:
            other = connect("root")
            plugin = Plugin(other, path="/test/B")
            plugin.register("mortal", ["BeforeCreate"], priority=1, **values)
            pending = start_create(world.alice)
            wait_until(lambda: slow.held, what="the question to the slow one")
            other.close()
            wait_until(lambda: len(list_plugins(peer)) == 1, what="the end of the registration")
            slow.release()
            if refuses:
                with pytest.raises(BusError) as refused:
                    pending.result()
                assert refused.value.name == VETOED
                assert "“mortal” must agree" in refused.value.message
            else:
                world.scratch.append(pending.result()[0])
            assert plugin.asked == []


def test_a_needed_plugin_that_unregisters_before_it_is_asked_is_done(world, peer):
    with Plugin(peer, lambda hook, event: None, path="/test/A") as slow, \
            Plugin(peer, path="/test/B") as leaving:
        slow.register("slow", ["BeforeCreate"], deadline_ms=60000)
        leaving.register("leaving", ["BeforeCreate"], priority=1)
        pending = start_create(world.alice)
        slow.wait_asked()
        leaving.unregister()
        slow.release()
        world.scratch.append(pending.result()[0])
        assert leaving.asked == []


# ---- Registration


@pytest.mark.parametrize("values, word", [
    ({}, "name"),
    ({"name": "x"}, "hooks"),
    ({"name": "x", "hooks": strings()}, "hooks"),
    ({"name": "x", "hooks": strings("AfterCreate")}, "AfterCreate"),
    ({"name": "x", "hooks": strings("beforecreate")}, "beforecreate"),
    ({"name": "x", "hooks": strings("BeforeCreate", "\n" * 1000)}, "hooks"),
    ({"name": "", "hooks": strings("BeforeCreate")}, "name"),
    ({"name": "a b", "hooks": strings("BeforeCreate")}, "name"),
    ({"name": "x" * 64, "hooks": strings("BeforeCreate")}, "name"),
    ({"name": "x", "hooks": strings("BeforeCreate"), "deadline_ms": 99}, "deadline-ms"),
    ({"name": "x", "hooks": strings("BeforeCreate"), "deadline_ms": 60001}, "deadline-ms"),
    ({"name": "x", "hooks": strings("BeforeCreate"), "deadline_ms": 2**32 - 1}, "deadline-ms"),
])
def test_a_wrong_registration_is_refused_by_name(world, peer, values, word):
    with pytest.raises(BusError) as refused:
        peer.manager("RegisterPlugin", GLib.Variant("(oa{sv})", ("/x", options(**values))))
    assert refused.value.name == INVALID
    assert word in refused.value.message
    assert len(refused.value.message) < 600
    assert list_plugins(peer) == []


def test_nothing_is_registered_twice_and_nobody_unregisters_anothers(world, peer, users):
    bob = users["bob"]
    with Plugin(peer) as plugin:
        plugin.register("one", ["BeforeCreate"])
        for caller, path, name in [(peer, "/test/Plugin", "two"), (peer, "/test/Other", "one"),
                                   (bob, "/test/Plugin", "one")]:
            with pytest.raises(BusError) as refused:
                caller.manager("RegisterPlugin", GLib.Variant("(oa{sv})", (path, options(
                    name=name, hooks=strings("BeforeCreate")))))
            assert refused.value.name == "org.vmsan.Error.Exists"
        for caller, path in [(bob, "/test/Plugin"), (peer, "/test/Other"), (users["root"], "/test")]:
            with pytest.raises(BusError) as refused:
                caller.manager("UnregisterPlugin", GLib.Variant("(o)", (path,)))
            assert refused.value.name == "org.vmsan.Error.NotFound"
        assert [p["name"] for p in list_plugins(bob)] == ["one"]
        plugin.unregister()
        assert list_plugins(bob) == []
        plugin.register("one", ["BeforeCreate"])


def test_who_is_asked_can_unregister_and_answer_still(world, peer):
    with Plugin(peer, lambda hook, event: None) as plugin:
        plugin.register("leaving", ["BeforeCreate"], deadline_ms=60000)
        pending = start_create(world.alice)
        plugin.wait_asked()
        plugin.unregister()
        plugin.release(veto("last words"))
        with pytest.raises(BusError) as refused:
            pending.result()
        assert "last words" in refused.value.message
        world.create(world.alice)


def register_many(caller, count):
    """How many of them were taken."""
    for number in range(count):
        try:
            caller.manager("RegisterPlugin", GLib.Variant("(oa{sv})", (
                f"/many/{number}", options(name=f"n{caller.unique_name[1:]}-{number}",
                                           hooks=strings("BeforeRemove"), fail_open=True))))
        except BusError as error:
            assert error.name == "org.vmsan.Error.LimitExceeded"
            assert "64" in error.message and "16" in error.message
            return number
    return count


def test_plugins_are_limited_for_a_user_and_in_all(world, connect):
    """Everybody may register here, for as long as the test takes."""
    rule = "/etc/polkit-1/rules.d/05-plugins.rules"
    with open(rule, "w") as file:
        file.write("polkit.addRule(function(action, subject) {"
                   "if (action.id == 'org.vmsan.register-plugin') return polkit.Result.YES; });")
    try:
        callers = [connect(name) for name in ("root", "alice", "bob", "carol", "erin", "frank")]
        for caller in callers:
            wait_until(lambda: may_register(caller), what="the rule")
        assert [register_many(caller, 17) for caller in callers] == [16, 16, 16, 16, 0, 0]
        # Another connection of the same user does not help, and what is gone counts no more.
        assert register_many(connect("root"), 1) == 0
        callers[0].close()
        wait_until(lambda: len(list_plugins(world.root)) == 48, what="the end of root's")
        assert register_many(callers[-1], 17) == 16
    finally:
        os.unlink(rule)
        for caller in callers:
            caller.close()
        wait_until(lambda: list_plugins(world.root) == [], what="the end of all of them")


def may_register(caller):
    try:
        caller.manager("UnregisterPlugin", GLib.Variant("(o)", ("/none",)))
    except BusError as error:
        return error.name == "org.vmsan.Error.NotFound"


# ---- The memory of events


def get_events(caller, since):
    return caller.manager("GetEvents", GLib.Variant("(t)", (since,)))


def test_who_missed_events_gets_them(world, connect):
    listener = connect("dave")
    listener.listen()
    _, since, _ = get_events(listener, 0)
    path = world.create(world.alice)
    world.alice.call(path, VM, "Remove", NOTHING)
    world.scratch.remove(path)
    listener.wait_signal("AfterRemove")
    events, last, missed = get_events(listener, since)
    assert not missed
    assert [(number, name) for number, name, _ in events] == \
        [(args[0], name) for name, _, args in listener.signals]
    assert last == events[-1][0] == since + len(events)
    for (_, name, event), (_, _, args) in zip(events, listener.signals):
        assert (event["id"], event["owner"]) == args[1:3]
        assert event["actor"] == args[-1]
        assert abs(event["time"] / 1e6 - time.time()) < 600
        if name == "StateChanged":
            assert (event["old-state"], event["new-state"]) == args[3:5]
    assert get_events(listener, last) == ([], last, False)


def test_numbers_of_another_run_are_known_for_what_they_are(world, users):
    everything, last, missed = get_events(users["dave"], 0)
    assert not missed
    for since in (1, everything[0][0] - 2, last + 1, 2**64 - 1):
        assert get_events(users["dave"], since) == (everything, last, True)
    assert get_events(users["dave"], everything[0][0] - 1) == (everything, last, False)


def test_a_thousand_events_are_remembered(world, users):
    _, before, _ = get_events(users["dave"], 0)
    # Each refusal is one event. The bus limits how many calls may wait at the same time.
    for _ in range(101):
        for call in [world.alice.start(world.idle_vm, VM, "Stop", NOTHING) for _ in range(10)]:
            with pytest.raises(BusError) as refused:
                call.result()
            assert refused.value.name == "org.vmsan.Error.WrongState"
    events, last, missed = get_events(users["dave"], 0)
    assert len(events) == 1000
    assert [e[0] for e in events] == list(range(last - 999, last + 1))
    assert last == before + 1010
    assert get_events(users["dave"], before) == (events, last, True)


# ---- Every failure of every verb


@pytest.mark.parametrize("method, args, machine, error", [
    ("Start", NOTHING, "vm", "WrongState"),
    ("Stop", NOTHING, "idle_vm", "WrongState"),
    ("Remove", NOTHING, "vm", "WrongState"),
    ("SetTimeout", GLib.Variant("(t)", (1000,)), "idle_vm", "WrongState"),
])
def test_a_refused_verb_is_an_error_signal(world, connect, method, args, machine, error):
    listener = connect("dave")
    listener.listen()
    path = getattr(world, machine)
    with pytest.raises(BusError) as refused:
        world.alice.call(path, VM, method, args)
    assert refused.value.name == "org.vmsan.Error." + error
    signal = listener.wait_signal("Error")
    phase = {"SetTimeout": "set-timeout"}.get(method, method.lower())
    assert signal[1:] == (os.path.basename(path), 4001, phase, refused.value.name,
                          refused.value.message, "uid:4001")


def test_a_policy_for_a_machine_without_a_network_is_an_error_signal(world, connect):
    listener = connect("dave")
    listener.listen()
    path = world.create(world.alice, network="none")
    with pytest.raises(BusError) as refused:
        set_policy(world.alice, path, network_policy="deny-all")
    assert refused.value.name == "org.vmsan.Error.NotSupported"
    assert listener.wait_signal("Error")[3:5] == ("set-network-policy", refused.value.name)


def test_a_creation_beyond_a_limit_is_an_error_signal_and_a_wrong_name_is_not(world, connect):
    listener = connect("dave")
    listener.listen()
    with pytest.raises(BusError):
        world.create(world.alice, image="secret-image")
    with pytest.raises(BusError) as refused:
        world.create(world.alice, memory_mib=65537)
    signal = listener.wait_signal("Error")
    assert signal[1:5] == ("", 4001, "create", "org.vmsan.Error.LimitExceeded")
    assert signal[5] == refused.value.message
    assert "secret" not in repr(listener.signals)


def test_who_has_which_port_is_in_no_signal(world, connect):
    listener = connect("dave")
    holder, waiting, other = [
        world.create(world.alice, name=name, start=start, published_ports=strings(port))
        for name, start, port in [("holder", True, "18082:80"), ("waiting", False, "18082:80"),
                                  ("other", True, "18083:80")]]
    listener.listen()
    for attempt in (lambda: world.create(world.alice, start=True, published_ports=strings("18082:80")),
                    lambda: world.alice.call(waiting, VM, "Start", NOTHING),
                    lambda: set_policy(world.alice, other, published_ports=strings("18082:80"))):
        with pytest.raises(BusError) as refused:
            attempt()
        assert refused.value.name == "org.vmsan.Error.Exists"
        assert "“holder”" in refused.value.message and "18082" in refused.value.message
    # The next one is the first that is heard of.
    with pytest.raises(BusError):
        world.alice.call(holder, VM, "Start", NOTHING)
    assert listener.wait_signal("Error")[4] == "org.vmsan.Error.WrongState"
