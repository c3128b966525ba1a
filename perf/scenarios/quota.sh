#!/bin/sh
# Runs a program in a cgroup (v1) that gives it so many percent of one CPU's time: quota.sh PERCENT PROGRAM …
set -eu
group=/sys/fs/cgroup/cpu/millrun-perf-$1
mkdir -p "$group"
echo 10000 >"$group/cpu.cfs_period_us"
echo "$(($1 * 100))" >"$group/cpu.cfs_quota_us"
echo $$ >"$group/cgroup.procs"
shift
exec "$@"
