"""uvicorn on wsproto."""

from wsbench.targets.servers import uvicorn
from wsbench.targets.servers.asgi import app

if __name__ == "__main__":
    uvicorn.main(app, "wsproto")
