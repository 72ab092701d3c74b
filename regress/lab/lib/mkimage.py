#!/usr/bin/env python3
"""mkimage.py OUT NAME:TAG --layer TAR... : a docker-archive out of root file
system layers, for "ctr images import" (and docker load). No daemon is needed,
and the same layers give the same image, byte by byte."""
import argparse
import hashlib
import io
import json
import os
import platform
import tarfile

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return h.hexdigest()


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("name")
    p.add_argument("--layer", action="append", required=True)
    p.add_argument("--entrypoint", action="append", default=[])
    p.add_argument("--cmd", action="append", default=[])
    p.add_argument("--env", action="append", default=[])
    p.add_argument("--port", action="append", default=[])
    p.add_argument("--volume", action="append", default=[])
    p.add_argument("--user", default="")
    return p.parse_args()


def config(a, diffs):
    c = {"Env": ["PATH=" + PATH] + a.env}
    if a.entrypoint:
        c["Entrypoint"] = a.entrypoint
    if a.cmd:
        c["Cmd"] = a.cmd
    if a.user:
        c["User"] = a.user
    if a.port:
        c["ExposedPorts"] = {p: {} for p in a.port}
    if a.volume:
        c["Volumes"] = {v: {} for v in a.volume}
    epoch = "2020-01-01T00:00:00Z"
    return {
        "architecture": ARCH.get(platform.machine(), platform.machine()),
        "os": "linux", "created": epoch, "config": c,
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + d for d in diffs]},
        "history": [{"created": epoch, "created_by": "bloodraven-lab"}
                    for _ in diffs]}


def add_bytes(tar, name, data):
    i = tarfile.TarInfo(name)
    i.size = len(data)
    tar.addfile(i, io.BytesIO(data))


def main():
    a = arguments()
    diffs = [digest(x) for x in a.layer]
    cfg = json.dumps(config(a, diffs), sort_keys=True).encode()
    cfg_name = hashlib.sha256(cfg).hexdigest() + ".json"
    names = [d + "/layer.tar" for d in diffs]
    manifest = [{"Config": cfg_name, "RepoTags": [a.name], "Layers": names}]
    with tarfile.open(a.out + ".new", "w") as t:
        add_bytes(t, cfg_name, cfg)
        for name, path in dict(zip(names, a.layer)).items():
            i = tarfile.TarInfo(name)
            i.size = os.path.getsize(path)
            with open(path, "rb") as f:
                t.addfile(i, f)
        add_bytes(t, "manifest.json", json.dumps(manifest).encode())
    os.rename(a.out + ".new", a.out)


main()
