# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy on loopback that misbehaves when told to: cuts, refuses, delays, stops forwarding, loses answers.

It stands before a TCP port or a Unix socket, and listens at the same kind. One before a Kafka can ask somebody whether a
topic may be deleted: if not, that connection ends before the request gets there.
"""

import asyncio
import os
import struct
import threading

DELETE_TOPICS = 20  # of Kafka's protocol


class Requests:
    """Finds where requests of Kafka's protocol begin: a size of four bytes, which does not count itself, then what is asked."""

    def __init__(self):
        self.head = b""
        self.skip = 0

    def feed(self, data):
        """What is asked by the requests that begin in the next bytes of the stream."""
        asked, at = [], 0
        while at < len(data):
            if self.skip:
                step = min(self.skip, len(data) - at)
                self.skip -= step
                at += step
                continue
            step = min(6 - len(self.head), len(data) - at)
            self.head += data[at : at + step]
            at += step
            if len(self.head) == 6:
                size, what = struct.unpack(">ih", self.head)
                asked.append(what)
                self.head, self.skip = b"", size - 2
        return asked


class Proxy:
    """Listens at `here` and forwards to `there` (a port of 127.0.0.1, or a path), in a thread of its own."""

    def __init__(self, here, there):
        self.here = here
        self.there = there
        self.delay_s = 0.0
        self.refuses = False
        self.swallow = None  # bytes of a request whose answer is lost, with the connection
        self.may_delete = None  # whether a topic may be, asked in a thread; connections from before this was set are not looked at
        self._loop = asyncio.new_event_loop()
        self._writers = set()
        self._tasks = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise AssertionError(f"the proxy does not listen at {self.here}")
        return self

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if isinstance(self.here, str) and os.path.exists(self.here):
            os.unlink(self.here)

    def cut(self):
        """All connections end, now."""
        self._loop.call_soon_threadsafe(self._cut)

    def stall(self, stalls):
        """Nothing is forwarded; the connections stay."""
        self._loop.call_soon_threadsafe(self._open.clear if stalls else self._open.set)

    def heal(self):
        self.delay_s = 0.0
        self.refuses = False
        self.swallow = None
        self.stall(False)

    # --- in the thread

    def _serve(self):
        if isinstance(self.here, str):
            return asyncio.start_unix_server(self._connected, self.here)
        return asyncio.start_server(self._connected, "127.0.0.1", self.here)

    def _connect(self):
        if isinstance(self.there, str):
            return asyncio.open_unix_connection(self.there)
        return asyncio.open_connection("127.0.0.1", self.there)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._open = asyncio.Event()
        self._open.set()
        server = self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._cut()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def _cut(self):
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        there = None
        try:
            if not self.refuses:
                there_reader, there = await self._connect()
                self._writers.add(there)
                link = {"lost": False, "requests": Requests() if self.may_delete else None}
                pumps = [
                    self._loop.create_task(self._pump(reader, there, link, True)),
                    self._loop.create_task(self._pump(there_reader, writer, link, False)),
                ]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, there):
                if end:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _allowed(self):
        may_delete = self.may_delete
        return not may_delete or await self._loop.run_in_executor(None, may_delete)

    async def _pump(self, reader, writer, link, asks):
        while True:
            data = await reader.read(65536)
            await self._open.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if not data:
                return
            if asks and link["requests"] and DELETE_TOPICS in link["requests"].feed(data) and not await self._allowed():
                return
            if asks and self.swallow and self.swallow in data:
                link["lost"] = True
                self.swallow = None
            elif not asks and link["lost"]:
                return  # it was done, and nobody is told
            writer.write(data)
            await writer.drain()
