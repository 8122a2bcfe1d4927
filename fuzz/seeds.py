#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into a folder: seeds.py FOLDER, a folder a target. Always the same bytes."""
import gzip, io, json, os, subprocess, sys, tarfile, tempfile

SEPARATOR = b"\x1e"


def archive(form, entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, kind, link, content, pax in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size, info.mode = kind, link, len(content), 0o4755
            if form == tarfile.PAX_FORMAT:
                info.pax_headers = pax
            tar.addfile(info, io.BytesIO(content))
    # Without the padding to 10 KiB.
    return out.getvalue()[: out.tell()].rstrip(b"\0") + b"\0" * 1024


ENTRIES = [
    ("a", tarfile.DIRTYPE, "", b"", {}),
    ("a/b", tarfile.REGTYPE, "", b"content", {"SCHILY.xattr.security.capability": "\x01\x02"}),
    ("a/c", tarfile.LNKTYPE, "a/b", b"", {}),
    ("l", tarfile.SYMTYPE, "/a", b"", {}),
    ("l/d", tarfile.AREGTYPE, "", b"through a link", {}),
    ("a/" + "n" * 200, tarfile.REGTYPE, "", b"long", {}),
    ("f", tarfile.FIFOTYPE, "", b"", {}),
    ("a/.wh.b", tarfile.REGTYPE, "", b"", {}),
    ("a/.wh..wh..opq", tarfile.REGTYPE, "", b"", {"uid": "4294967296", "mtime": "1.5"}),
]
SPARSE = {
    "1.0": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "9"},
    "0.1": {"GNU.sparse.map": "0,2,4,3", "GNU.sparse.numblocks": "2", "GNU.sparse.size": "9"},
}


def tars():
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        entries = ENTRIES if form != tarfile.USTAR_FORMAT else [e for e in ENTRIES if len(e[0]) < 100]
        yield name, archive(form, entries)
    for version, pax in SPARSE.items():
        content = b"hello" if version == "0.1" else b"2\n0\n2\n4\n3\n".ljust(512, b"\0") + b"hello"
        yield f"sparse-{version}", archive(tarfile.PAX_FORMAT, [("s", tarfile.REGTYPE, "", content, pax)])
    yield "gzip", gzip.compress(archive(tarfile.GNU_FORMAT, ENTRIES[:3]), mtime=0)


def images():
    config = {"os": "linux", "architecture": "amd64", "config": {"Env": ["A=b"]}, "rootfs": {"diff_ids": ["@"]}}
    config = json.dumps(config).encode().replace(b'"@"', b"@\xb0")
    layer = archive(tarfile.USTAR_FORMAT, ENTRIES[1:3])
    kinds = "application/vnd.oci.image."
    manifest = f'{{"config":{{"mediaType":"{kinds}config.v1+json",@1}},"layers":[{{"mediaType":"{kinds}layer.v1.tar",@0}}]}}'
    index = f'{{"manifests":[{{"mediaType":"{kinds}manifest.v1+json",@2,"annotations":{{"org.opencontainers.image.ref.name":"a"}}}}]}}'
    outer = f'{{"manifests":[{{"mediaType":"{kinds}index.v1+json",@3}}]}}'
    docker = '[{"Config":"c","RepoTags":["a:b"],"Layers":["l"]}]'
    blobs = [b"-\n" + layer, b"-\n" + config, b"-\n" + manifest.encode()]
    yield "oci", b"files" + SEPARATOR.join([*blobs, b"index.json\n" + index.encode()])
    yield "nested", b"files" + SEPARATOR.join([*blobs, b"-\n" + index.encode(), b"index.json\n" + outer.encode()])
    yield "docker", b"files" + SEPARATOR.join([b"l\n" + layer, b"c\n" + config, b"manifest.json\n" + docker.encode()])


LOG = b"""2026-11-28T10:00:00.123456Z sh[34]: ustat: ustat(0x801, 0x7ffc) = 0
2026-11-28T10:00:01.123456Z sh[34]: summary: ustat 3, sysfs 1
2026-11-28T10:00:02.123456Z sh[34]: _sysctl: _sysctl("a)b") = -1 ENOTDIR (Not a directory)
{"time":"2026-11-28T10:00:00.123456Z","pid":12,"program":"sh","rule":"ustat","call":"ustat(1)","result":0}
{"log":"2026-11-28T10:00:00.123456Z sh[34]: ustat: ustat(0x801, 0x7ffc) = 0\\n","stream":"stderr","time":"2026-11-28T10:00:00Z"}
2026-11-28T10:00:00.1Z stderr F 2026-11-28T10:00:00.123456Z sh[34]: lines dropped: 3
"""
PROFILES = [
    {"version": 1, "syscalls": {"statx": "ENOSYS", "clone3": "answers", "read": "killed"}},
    {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64"],
     "syscalls": [{"names": ["read", "clone"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]},
                   "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]},
]

SOURCE = """
#include <sys/syscall.h>
__attribute__((weak)) extern long syscall(long, ...);
static long raw(long n) { long r; asm volatile(CALL : "=a"(r) : "a"(n) : "rcx", "r11", "memory"); return r; }
long (*table[])(long) = { raw };
long imported(void) { return syscall ? syscall(SYS_ustat, 0, 0) : 0; }
long old(void) { long (*time)(long *) = (long (*)(long *))(long)0xffffffffff600400; return time(0); }
void _start(void) { raw(SYS_getpid); table[0](SYS_uselib); imported(); old(); }
"""


def elfs():
    """Small programs and a library, with and without symbols, for x86-64 and i386."""
    small = ["-nostdlib", "-ffreestanding", "-Wl,-z,noseparate-code", "-Wl,--build-id=none", "-include", "stddef.h"]
    forms = {
        "static": ["-static", "-O1"],
        "pie": ["-pie", "-fPIE", "-O2", "-Wl,--unresolved-symbols=ignore-all"],
        "library": ["-shared", "-fPIC", "-O0", "-Wl,--hash-style=both"],
        "stripped": ["-static", "-s", "-O2"],
        "object": ["-c"],
        "i386": ["-m32", "-static", "-fno-pic"],
    }
    with tempfile.TemporaryDirectory() as work:
        for name, form in forms.items():
            call = '-DCALL="int $0x80"' if name == "i386" else '-DCALL="syscall"'
            command = ["cc", *small, *form, call, "-w", "-xc", "-", "-o", f"{work}/out"]
            # i386 needs headers that not every machine has.
            if subprocess.run(command, input=SOURCE.encode(), stderr=subprocess.DEVNULL).returncode == 0:
                with open(f"{work}/out", "rb") as out:
                    yield name, out.read()
    yield "script", b"#!/usr/bin/env -S sh -e\n"


folder = sys.argv[1]
seeds = {
    "tar": list(tars()),
    "image": list(images()),
    "layers": [],
    "elf": list(elfs()),
    "log": [("lines", LOG)],
    "profile": [(str(n), json.dumps(p).encode()) for n, p in enumerate(PROFILES)],
}
for target, files in seeds.items():
    os.makedirs(f"{folder}/{target}", exist_ok=True)
    for name, content in files:
        with open(f"{folder}/{target}/{name}", "wb") as file:
            file.write(content)
