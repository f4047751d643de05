"""An engine child that speaks the wire protocol and does what the last message tells it to."""

import json
import os
import sys
import threading
import time

from agentopt.serve.wire import Channel

settings = json.loads(sys.argv[1])
channel = Channel(os.getppid())
if settings.get("fatal"):
    print("gguf_tensor_to_f16 failed", file=sys.stderr)
    channel.fatal(settings["fatal"])
if settings.get("die_at_start"):
    os._exit(7)
time.sleep(settings.get("load", 0))
print("a library prints to stdout")
os.write(1, b"and straight to its descriptor\n")
channel.emit("ready", engine="fake", version="1", context=100)
cancelled: list[int] = []
waiting: set[int] = set()


def done(ident: int, text: str, **more: object) -> None:
    fields = {"finish": "stop", "input_tokens": 5, "output_tokens": len(text.split()), "cached_tokens": 2, **more}
    channel.emit("done", id=ident, text=text, **fields)


def work(ident: int, seconds: float) -> None:
    """Answer after so many seconds of steps, each of which is told."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        channel.emit("alive")
        time.sleep(0.02)
    done(ident, "done at last")


while True:
    for message in channel.take(block=True):
        ident = message["id"]
        if message["op"] == "cancel":
            cancelled.append(ident)
            waiting.discard(ident)
            continue
        said = message["messages"][-1]["content"] if message["op"] == "chat" else message["prompt"]
        verb, _, rest = said.partition(" ")
        if verb == "echo":
            if message["stream"]:
                for piece in rest.split():
                    channel.emit("text", id=ident, text=piece)
                done(ident, "".join(rest.split()))
            else:
                done(ident, rest)
        elif verb == "whole":
            done(ident, json.dumps(message))
        elif verb == "wait":
            waiting.add(ident)
        elif verb == "state":
            done(ident, json.dumps({"cancelled": cancelled, "waiting": sorted(waiting), "pid": os.getpid()}))
        elif verb == "work":
            threading.Thread(target=work, args=(ident, float(rest)), daemon=True).start()
        elif verb == "later":
            threading.Timer(float(rest), done, (ident, "at last")).start()
        elif verb == "cut":
            done(ident, "half an", finish="length")
        elif verb == "tool":
            done(ident, "", finish="tool_calls", tool_calls=[{"name": "add", "arguments": '{"a": 1}'}])
        elif verb == "refuse":
            channel.emit("error", id=ident, kind="invalid", message=rest)
        elif verb == "fail":
            channel.emit("error", id=ident, kind="failed", message=rest)
        elif verb == "die":
            print(rest, file=sys.stderr, flush=True)
            os._exit(9)
        else:
            channel.emit("error", id=ident, kind="invalid", message=f"the script knows no {verb!r}")
