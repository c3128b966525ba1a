#!/usr/bin/env python3
"""Makes seccomp.json: Docker's default profile and, beyond it, exactly what io_uring needs.

    seccomp.py DEFAULT.json > seccomp.json     make the profile from a newer default
    seccomp.py --check seccomp.json            is it a default and our one rule, and nothing else?

Docker has refused io_uring by default since version 25. The engine works without it (on epoll), with less to spare.

The default is published as the Go module github.com/moby/profiles/seccomp, file default.json. With Go installed:

    go mod download -json github.com/moby/profiles/seccomp@latest     (the answer's "Dir" holds default.json)

Exit codes: 0 done or in order, 1 the profile is not in order, 2 wrong usage or an unreadable file.
"""

import json
import sys

# What a ring is made and used by. io_uring_register is not among them: the engine registers nothing with its rings. No
# capability, no other syscall: a ring reaches only what the process could reach by plain syscalls, but it reaches it
# past this filter, which is why Docker's default leaves it out. So the profile is for hosts that run Millrun and
# nothing else.
IO_URING = ["io_uring_enter", "io_uring_setup"]

RULE = {
    "names": IO_URING,
    "action": "SCMP_ACT_ALLOW",
    "comment": "Not in Docker's default: Millrun's shards do their network and journal I/O through io_uring.",
}


def allowed_without_condition(profile):
    """Names of the syscalls that some rule allows to every container."""
    names = set()
    for rule in profile["syscalls"]:
        if rule["action"] == "SCMP_ACT_ALLOW" and not any(rule.get(key) for key in ("args", "includes", "excludes")):
            names.update(rule["names"])
    return names


def without_ours(profile):
    """The default that a profile was made from."""
    return {**profile, "syscalls": [rule for rule in profile["syscalls"] if rule != RULE]}


def with_ours(default):
    """The default and our rule, which comes last. Made from a profile of ours, it is that profile."""
    base = without_ours(default)
    return {**base, "syscalls": [*base["syscalls"], RULE]}


def problems(profile):
    """What is wrong with a profile, a sentence each."""
    found = []
    if profile["syscalls"].count(RULE) != 1 or profile["syscalls"][-1] != RULE:
        found.append("io_uring's rule must be there once, and last")
    if profile.get("defaultAction") != "SCMP_ACT_ERRNO":
        found.append(f"what no rule names must be refused, not {profile.get('defaultAction')}")
    default = allowed_without_condition(without_ours(profile))
    for name in IO_URING:
        if name in default:
            found.append(f"the default allows {name} by itself: this profile is not needed any more")
    # Some that every version of Docker's default has had, and some that none has allowed without a capability.
    for name in ("read", "futex", "clone3", "epoll_wait"):
        if not any(name in rule["names"] for rule in profile["syscalls"]):
            found.append(f"{name} is missing: this was not made from Docker's default")
    for name in ("kexec_load", "mount", "bpf", "init_module"):
        if name in default:
            found.append(f"{name} is open to every container: this was not made from Docker's default")
    return found


def main(arguments):
    checking = arguments[:1] == ["--check"]
    paths = arguments[1:] if checking else arguments
    if len(paths) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(paths[0], encoding="utf-8") as file:
            given = json.load(file)
    except (OSError, ValueError) as error:
        print(f"seccomp.py: {paths[0]}: {error}", file=sys.stderr)
        return 2
    made = given if checking else with_ours(given)
    found = problems(made)
    for problem in found:
        print(f"seccomp.py: {paths[0]}: {problem}", file=sys.stderr)
    if found:
        return 1
    if not checking:
        json.dump(made, sys.stdout, indent="\t")
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
