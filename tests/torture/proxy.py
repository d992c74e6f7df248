# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy on loopback that misbehaves when told to: cuts, refuses, delays, stops forwarding."""

import asyncio
import threading


class Proxy:
    """Listens at port and forwards to target_port, in a thread of its own, from start() to stop()."""

    def __init__(self, port, target_port):
        self.port = port
        self.target_port = target_port
        self.delay_s = 0.0
        self.refuses = False
        self._loop = asyncio.new_event_loop()
        self._writers = set()
        self._tasks = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise AssertionError(f"the proxy does not listen at port {self.port}")
        return self

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut(self):
        """All connections end, now."""
        self._loop.call_soon_threadsafe(self._cut)

    def stall(self, stalls):
        """Nothing is forwarded; the connections stay."""
        self._loop.call_soon_threadsafe(self._open.clear if stalls else self._open.set)

    def heal(self):
        self.delay_s = 0.0
        self.refuses = False
        self.stall(False)

    # --- in the thread

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._open = asyncio.Event()
        self._open.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", self.port))
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
                there_reader, there = await asyncio.open_connection("127.0.0.1", self.target_port)
                self._writers.add(there)
                pumps = [self._loop.create_task(self._pump(*ends)) for ends in ((reader, there), (there_reader, writer))]
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

    async def _pump(self, reader, writer):
        while True:
            data = await reader.read(65536)
            await self._open.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if not data:
                return
            writer.write(data)
            await writer.drain()
