#!/usr/bin/env bash
# Inspects a Linux host and says what limits an engine on it, with the fix for each. Changes nothing unless --apply is
# given; then it does, until the next boot, what a fix of one command can do.
#
#   perf/host.sh            look
#   perf/host.sh --apply    look and change (as root)
#
# Limits of a process (files, locked memory, cgroup) are those of this shell: run it where the engine will run, as who
# runs it. Exit code: 0 nothing limits, 1 something does, 2 bad usage.
set -uo pipefail

apply=0 warnings=0
case "${1:-}" in
    "") ;;
    --apply) apply=1 ;;
    *) echo "usage: $0 [--apply]" >&2; exit 2 ;;
esac
if [[ $# -gt 1 ]]; then echo "usage: $0 [--apply]" >&2; exit 2; fi
if [[ $apply -eq 1 && $(id -u) -ne 0 ]]; then
    echo "$0: --apply needs root" >&2
    exit 2
fi

ok() { printf 'ok    %-18s %s\n' "$1" "$2"; }
skip() { printf -- '-     %-18s %s\n' "$1" "$2"; }
warn() {
    printf 'WARN  %-18s %s\n' "$1" "$2"
    warnings=$((warnings + 1))
}
# fix TEXT: what a person has to do.
fix() { printf '      fix: %s\n' "$1"; }
# change COMMAND: the same, as a command line that --apply runs.
change() {
    fix "$1"
    if [[ $apply -eq 0 ]]; then return; fi
    if bash -c "$1" >/dev/null; then
        echo "      applied"
        warnings=$((warnings - 1))
    else
        echo "      NOT applied: the command failed"
    fi
}

value() { cat "$1" 2>/dev/null; }

# at_least A B: version A is B or newer.
at_least() { [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]; }

kernel() {
    local release
    release=$(uname -r)
    if at_least "$release" 5.19; then
        ok kernel "$release"
    else
        warn kernel "$release: the ring flag COOP_TASKRUN came with 5.19, so the engine takes epoll"
        fix "Linux 5.19 or newer"
    fi
}

# What the kernel says to io_uring_setup(2), 425 on every architecture, asked for 8 entries: "ok" or the error's number.
probe_io_uring() {
    perl -e 'my $parameters = "\0" x 120; my $fd = syscall(425, 8, $parameters); print $fd < 0 ? $! + 0 : "ok"'
}

io_uring() {
    local disabled answer
    disabled=$(value /proc/sys/kernel/io_uring_disabled)
    case "$disabled" in
        0 | "") ;;
        1)
            warn io_uring "kernel.io_uring_disabled = 1: only for the group kernel.io_uring_group and CAP_SYS_ADMIN"
            change "sysctl -w kernel.io_uring_disabled=0"
            ;;
        *)
            warn io_uring "kernel.io_uring_disabled = $disabled: for nobody"
            change "sysctl -w kernel.io_uring_disabled=0"
            ;;
    esac
    if ! command -v perl >/dev/null; then
        skip io_uring "not tried: needs perl; the engine's first log lines say which driver it took and why"
        return
    fi
    answer=$(probe_io_uring)
    case "$answer" in
        ok) ok io_uring "io_uring_setup works here" ;;
        38)
            warn io_uring "io_uring_setup: ENOSYS: hidden by a seccomp profile, or a kernel older than 5.1"
            fix "run the container with a seccomp profile that allows io_uring_setup and io_uring_enter"
            ;;
        1)
            warn io_uring "io_uring_setup: EPERM: kernel.io_uring_disabled or a seccomp profile"
            fix "kernel.io_uring_disabled=0, and a seccomp profile that allows io_uring_*"
            ;;
        12)
            warn io_uring "io_uring_setup: ENOMEM: the limit of locked memory is too low"
            fix "ulimit -l unlimited; systemd: LimitMEMLOCK=infinity; container: --ulimit memlock=-1"
            ;;
        *) warn io_uring "io_uring_setup: error $answer" ;;
    esac
}

locked_memory() {
    local limit
    limit=$(ulimit -l)
    if at_least "$(uname -r)" 5.12; then
        ok "locked memory" "$limit KiB; since Linux 5.12 rings don't count against it"
    elif [[ $limit == unlimited || $limit -ge 65536 ]]; then
        ok "locked memory" "$limit KiB"
    else
        warn "locked memory" "$limit KiB: each shard's ring counts against it"
        fix "ulimit -l unlimited; systemd: LimitMEMLOCK=infinity; container: --ulimit memlock=-1"
    fi
}

# The engine raises its soft limit to the hard one by itself; each connection is one file.
open_files() {
    local limit
    limit=$(ulimit -Hn)
    if [[ $limit == unlimited || $limit -ge 65536 ]]; then
        ok "open files" "$limit (hard limit)"
    else
        warn "open files" "$limit (hard limit): so many connections at most, less some for sinks"
        fix "ulimit -Hn 1048576; systemd: LimitNOFILE=1048576; container: --ulimit nofile=1048576"
    fi
}

# atleast_sysctl NAME WANTED WHY
atleast_sysctl() {
    local now
    now=$(value "/proc/sys/${1//.//}")
    if [[ -z $now ]]; then
        skip "${1##*.}" "$1 is not there"
    elif [[ $now -ge $2 ]]; then
        ok "${1##*.}" "$now"
    else
        warn "${1##*.}" "$now: $3"
        change "sysctl -w $1=$2"
    fi
}

ports() {
    local low high
    read -r low high <<<"$(value /proc/sys/net/ipv4/ip_local_port_range)"
    if [[ -z ${high:-} ]]; then
        skip "port range" "net.ipv4.ip_local_port_range is not there"
    elif [[ $((high - low)) -ge 50000 ]]; then
        ok "port range" "$low to $high"
    else
        warn "port range" "$low to $high: a load generator here has at most $((high - low + 1)) connections to one address"
        change "sysctl -w net.ipv4.ip_local_port_range='10000 65535'"
    fi
}

# A card with fewer queues than CPUs interrupts few of them: RPS spreads the rest of the work.
receive_queues() {
    local card name queues cpus masks
    cpus=$(nproc)
    for card in /sys/class/net/*; do
        name=${card##*/}
        if [[ ! -e $card/device ]]; then continue; fi
        queues=("$card"/queues/rx-*)
        masks=$(cat "$card"/queues/rx-*/rps_cpus 2>/dev/null | tr -d '0,\n')
        if [[ ${#queues[@]} -ge $cpus ]]; then
            ok "queues of $name" "${#queues[@]} for $cpus CPUs"
        elif [[ -n $masks ]]; then
            ok "queues of $name" "${#queues[@]} for $cpus CPUs, spread by RPS"
        else
            warn "queues of $name" "${#queues[@]} for $cpus CPUs, RPS off: few CPUs take all packets"
            fix "ethtool -L $name combined $cpus, if the card can; else:"
            spread "$name" "$cpus"
        fi
    done
}

# spread CARD CPUS: RPS over all CPUs, as a mask of 32-bit groups.
spread() {
    local mask="" left=$2
    while [[ $left -ge 32 ]]; do
        mask=",ffffffff$mask"
        left=$((left - 32))
    done
    mask=$(printf '%x' $(((1 << left) - 1)))$mask
    change "echo $mask | tee /sys/class/net/$1/queues/rx-*/rps_cpus"
}

governor() {
    local files=(/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor) names
    if [[ ! -e ${files[0]} ]]; then
        skip "CPU governor" "no frequency scaling that this system could choose (a virtual machine, as a rule)"
        return
    fi
    names=$(sort -u "${files[@]}" | paste -sd ' ')
    if [[ $names == performance ]]; then
        ok "CPU governor" "$names"
    else
        warn "CPU governor" "$names: clocks follow the load, and measured times follow the clocks"
        change "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    fi
}

huge_pages() {
    local enabled
    enabled=$(value /sys/kernel/mm/transparent_hugepage/enabled)
    ok "huge pages" "${enabled:-not there}; the engine switches them off for itself"
}

# The directory of this process's group for a controller: of cgroup v2 if it is there, else of v1.
group_of() {
    local path
    path=$(awk -F: '$1 == "0" { print $3 }' /proc/self/cgroup)
    if [[ -n $path && -e /sys/fs/cgroup/cgroup.controllers ]]; then
        echo "/sys/fs/cgroup$path"
        return
    fi
    path=$(awk -F: -v name="$1" '{ n = split($2, names, ","); for (i = 1; i <= n; i++) if (names[i] == name) print $3 }' /proc/self/cgroup)
    echo "/sys/fs/cgroup/$1$path"
}

cpu_quota() {
    local dir quota period
    dir=$(group_of cpu)
    if [[ -e $dir/cpu.max ]]; then
        read -r quota period <"$dir/cpu.max"
    else
        quota=$(value "$dir/cpu.cfs_quota_us")
        period=$(value "$dir/cpu.cfs_period_us")
    fi
    if [[ -z ${quota:-} || $quota == max || $quota == -1 ]]; then
        ok "CPU quota" "none"
    else
        warn "CPU quota" "$quota of $period us: when it is used up, all shards stand still until the period is over"
        fix "whole CPUs without a quota (a cpuset), or a quota of whole CPUs"
    fi
}

kernel
io_uring
locked_memory
open_files
atleast_sysctl net.core.somaxconn 4096 "bounds server.backlog, the queue of connections that wait to be accepted"
atleast_sysctl net.ipv4.tcp_max_syn_backlog 4096 "connections that wait for the end of their handshake"
ports
receive_queues
governor
huge_pages
cpu_quota
if [[ $warnings -eq 0 ]]; then exit 0; else exit 1; fi
