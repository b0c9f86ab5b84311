#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command and option that vmsan-client has is in its manual page and in each shell's
completion, and nothing else is. Output is TAP. Arguments: the client, the source directory."""

import os
import re
import subprocess
import sys

client, source = sys.argv[1:]
COMMON = {"--help", "--json", "--quiet", "--no-ask-password"}


def read(*path):
    with open(os.path.join(source, *path), encoding="utf-8") as file:
        return file.read()


def ask(*arguments):
    run = subprocess.run([client, *arguments], capture_output=True, text=True, check=True,
                         env=dict(os.environ, LC_ALL="C.UTF-8"))
    return run.stdout


def options_of(command):
    text = ask(*command.split(), "--help").split("Options:", 1)[1]
    return set(re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", text, re.MULTILINE))


def commands():
    listed = ask("--help").split("Commands:\n", 1)[1].split("\n\n", 1)[0]
    return [re.split(r"  +", line.strip())[0] for line in listed.splitlines()]


def manual_sections():
    """Options by command, and the common ones under the empty name."""
    sections, name = {"": set()}, ""
    for line in read("data", "man", "vmsan-client.1").replace("\\-", "-").splitlines():
        if line.startswith('.SS "vmsan-client '):
            words = line[len('.SS "vmsan-client '):].rstrip('"').split()
            name = " ".join(words[:2] if words[0] in ("image", "kernel", "setup") else words[:1])
            sections[name] = set()
        elif line.startswith(".SH "):
            name = ""
        elif re.match(r"\.BR? -", line):
            sections[name] |= set(re.findall(r"--[a-z0-9-]+", line))
    return sections


def check_manual():
    sections = manual_sections()
    assert sorted(s for s in sections if s) == sorted(commands()), "commands differ"
    for command in commands():
        assert sections[command] == options_of(command) - COMMON, \
            f"{command}: {sections[command] ^ (options_of(command) - COMMON)}"
    assert COMMON <= sections[""]


def check_manuals_are_clean():
    for name in ("vmsan-client.1", "vmsan-network.7", "vmsan-plugin.7"):
        run = subprocess.run(["groff", "-t", "-man", "-Tutf8", "-ww", "-z",
                              os.path.join(source, "data", "man", name)],
                             capture_output=True, text=True)
        assert run.returncode == 0 and run.stderr == "", run.stderr


def check_completion(name, prefix):
    text = read("data", "completions", name)
    known = set().union(*(options_of(c) for c in commands())) | {"--version"}
    for option in known:
        assert re.search(rf"{prefix(option)}(?![a-z0-9-])", text), f"{option} is missing"
    for command in commands():
        for word in command.split():
            assert re.search(rf"\b{word}\b", text), f"{command} is missing"
    return text, known


def check_bash():
    text, known = check_completion("vmsan-client.bash", re.escape)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) <= known
    for command, options in re.findall(r"^      (\S+?)\) common\+=' ([^']*)'", text, re.MULTILINE):
        want = options_of(command.rstrip("/").replace("/", " ")) - COMMON
        assert set(options.split()) == want, f"{command}: {set(options.split()) ^ want}"


def check_zsh():
    text, known = check_completion("_vmsan-client", re.escape)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) <= known


def check_fish():
    text, known = check_completion("vmsan-client.fish",
                                   lambda option: rf"-l {re.escape(option[2:])}")
    extra = {f"--{o}" for o in re.findall(r"complete -c .* -l ([a-z0-9-]+)", text)} - known
    assert not extra, extra


def check_bash_completes():
    """The script itself, in a shell: words as the user would have typed them."""
    script = os.path.join(source, "data", "completions", "vmsan-client.bash")
    for words, want in ((["ima"], ["image"]), (["kernel", "a"], ["add"]),
                        (["stop", "--f"], ["--force"]), (["create", "--driver", "q"], ["qemu"]),
                        (["image", "add", "--root"], ["--root-owner"]),
                        (["network", "--policy", "d"], ["deny-all"]),
                        (["setup", "f"], ["firecracker"]),
                        (["setup", "firecracker", "--sha"], ["--sha256"])):
        line = " ".join(f"'{w}'" for w in ["vmsan-client", *words])
        run = subprocess.run(
            ["bash", "-c", f"source '{script}'; COMP_WORDS=({line}); COMP_CWORD={len(words)}; "
             '_vmsan_client; printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True)
        assert run.stdout.split() == want, f"{words}: {run.stdout} {run.stderr}"


def check_translations():
    """The sources with text are those that translators get, and what they made can be used."""
    listed = {line for line in read("po", "POTFILES.in").splitlines() if not line.startswith("#")}
    for folder in ("client", "lib"):
        for name in os.listdir(os.path.join(source, folder)):
            path = f"{folder}/{name}"
            if name.endswith(".c") and re.search(r"\bN?_ \(\"|ngettext \(", read(path)):
                assert path in listed, f"{path} is not in POTFILES.in"
    for path in listed:
        assert os.path.exists(os.path.join(source, path)), f"{path} is not there"
    for language in read("po", "LINGUAS").split("\n")[1:]:
        if language:
            run = subprocess.run(["msgfmt", "--check-format", "-o", "/dev/null",
                                  os.path.join(source, "po", f"{language}.po")],
                                 capture_output=True, text=True)
            assert run.returncode == 0, run.stderr


CHECKS = [
    ("translators get each file with text", check_translations),
    ("manual page has each command and option", check_manual),
    ("manual pages are clean roff", check_manuals_are_clean),
    ("bash completion has each command and option", check_bash),
    ("bash completion completes", check_bash_completes),
    ("zsh completion has each command and option", check_zsh),
    ("fish completion has each command and option", check_fish),
]
print(f"1..{len(CHECKS)}")
failed = 0
for number, (name, check) in enumerate(CHECKS, 1):
    try:
        check()
        print(f"ok {number} {name}")
    except AssertionError as error:
        failed += 1
        print(f"not ok {number} {name}\n# {error}")
sys.exit(failed != 0)
