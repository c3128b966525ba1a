#!/bin/bash
# First boot of an ECS host (Amazon Linux 2023): joins the cluster, lets containers use io_uring, gives the journal its
# disk. Runs as root, once, as EC2 user data; the ECS agent starts after it. Values come from /etc/millrun/host.env.
set -euo pipefail
. /etc/millrun/host.env

# --- Docker's seccomp profile. ECS task definitions can't name one, so ours becomes this host's default.
base64 -d /etc/millrun/seccomp.b64 | gunzip >/etc/docker/seccomp-millrun.json
echo '{ "seccomp-profile": "/etc/docker/seccomp-millrun.json" }' >/etc/docker/daemon.json

# --- Kernel settings of the host; those of the container's own network stand in the task definition.
cat >/etc/sysctl.d/90-millrun.conf <<'END'
net.core.netdev_max_backlog = 16384
fs.file-max = 2097152
vm.swappiness = 1
# Kernels from 6.6 on can switch io_uring off; the minus: older ones have no such key.
-kernel.io_uring_disabled = 0
END
sysctl --quiet --system

# --- The journal's disk: its own volume, found as the one without partitions or mounts, formatted once.
if [[ $MILLRUN_JOURNAL == yes ]]; then
    disk=/dev/disk/by-label/mr-journal
    for _ in $(seq 60); do
        [[ -e $disk ]] && break
        blank=$(lsblk --noheadings --nodeps --paths --output NAME,TYPE | awk '$2 == "disk" { print $1 }' | while read -r name; do
            if [[ $(lsblk --noheadings --output NAME "$name" | wc -l) -eq 1 ]] && ! blkid "$name" >/dev/null; then echo "$name"; fi
        done | head -n 1)
        if [[ -n $blank ]]; then mkfs.xfs -q -L mr-journal "$blank"; udevadm settle; fi
        sleep 1
    done
    mkdir -p "$MILLRUN_STATE_DIR"
    echo "LABEL=mr-journal $MILLRUN_STATE_DIR xfs noatime,nofail,x-systemd.device-timeout=30 0 2" >>/etc/fstab
    # Without its disk this host must not serve: the journal would be on the root volume, which dies with the host.
    mount "$MILLRUN_STATE_DIR"
    mkdir -p "$MILLRUN_STATE_DIR/journal"
    chown -R "$MILLRUN_UID:$MILLRUN_UID" "$MILLRUN_STATE_DIR"
    systemctl daemon-reload
fi

systemctl restart docker

# --- ECS. Tasks have roles of their own and no business with the host's.
cat >>/etc/ecs/ecs.config <<END
ECS_CLUSTER=$MILLRUN_CLUSTER
ECS_AWSVPC_BLOCK_IMDS=true
ECS_CONTAINER_STOP_TIMEOUT=${MILLRUN_STOP_TIMEOUT_S}s
ECS_WARM_POOLS_CHECK=true
ECS_IMAGE_PULL_BEHAVIOR=prefer-cached
END

# --- The unit that empties the journal before the host goes.
if [[ $MILLRUN_JOURNAL == yes ]]; then
    command -v aws >/dev/null || dnf install --quiet --assumeyes awscli-2
    chmod 755 /usr/local/sbin/millrun-host
    cat >/etc/systemd/system/millrun-host.service <<'END'
[Unit]
Description=Empties Millrun's journal before this host goes
After=docker.service network-online.target
Wants=network-online.target
[Service]
ExecStart=/usr/local/sbin/millrun-host
Restart=always
RestartSec=5
[Install]
WantedBy=multi-user.target
END
    systemctl daemon-reload
    systemctl enable --now --no-block millrun-host
fi
