"""Does to its own scoreboard what it can: truncate, grow, scribble through every memfd and every shared mapping."""

import ctypes
import json
import os

libc = ctypes.CDLL(None, use_errno=True)


def attack_descriptors(done):
    for name in os.listdir("/proc/self/fd"):
        path = "/proc/self/fd/" + name
        try:
            target = os.readlink(path)
        except OSError:
            continue
        if "memfd" not in target:
            continue
        descriptor = int(name)
        for what, size in (("truncate", 0), ("truncate", 16), ("grow", 1 << 20)):
            try:
                os.ftruncate(descriptor, size)
                done.append("%s %s" % (what, target))
            except OSError:
                pass
        try:
            os.pwrite(descriptor, b"\xff" * 65536, 0)
            done.append("pwrite " + target)
        except OSError:
            pass


def attack_mappings(done):
    with open("/proc/self/maps") as maps:
        lines = maps.readlines()
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) < 6 or "memfd" not in fields[5] or fields[1] != "rw-s":
            continue
        begin, end = (int(part, 16) for part in fields[0].split("-"))
        for fill in (0xFF, 0x1B):
            ctypes.memset(begin, fill, end - begin)
        # Plausible header, hostile slots: odd sequences, lengths that lead outside.
        ctypes.memmove(begin, b"WSSB\x01\x00\x00\x00\xff\xff\xff\x7f", 12)
        done.append("scribble " + fields[5].strip())


def application(environ, start_response):
    done = []
    attack_descriptors(done)
    attack_mappings(done)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), "done": done}).encode("ascii")]
