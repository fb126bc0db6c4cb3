import time
from tests.integration.test_switches import *
async def test_x(venue):
    if venue.twin: return
    t=time.time()
    def lap(what):
        nonlocal t
        print(what, round(time.time()-t,2)); t=time.time()
    world = await venue.world("tyler-setup"); lap("world")
    await world.put("users", ADA, BOB, CYD)
    crew = await world.lead(); lap("lead")
    async with crew.working():
        await world.reach(Phase.READY); lap("ready")
        for h in await world.ledger.history.all(): print("   ", h["at_ms"]%100000, h.get("to"), h["event"])
        for kind in (RequestKind.CUTOVER, RequestKind.ROLLBACK):
            a = await world.ask(crew, kind); lap(kind); print(a.answer)
        await world.reach(Phase.READY); lap("ready")
        n=len(crew.database.calls)
        import asyncio; await asyncio.sleep(3); print("calls/s idle", (len(crew.database.calls)-n)/3)
    lap("stop")
