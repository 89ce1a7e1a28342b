"""uvicorn on websockets' sans-I/O protocol, which it recommends."""

from wsbench.targets.servers import uvicorn
from wsbench.targets.servers.asgi import app

if __name__ == "__main__":
    uvicorn.main(app, "websockets-sansio")
