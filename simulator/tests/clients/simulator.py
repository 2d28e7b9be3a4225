"""A running simulator. Simulated time runs fast in it, so that operations are real ones, which clients have to poll,
and yet take milliseconds; pages are short, so that lists have several."""

import json
import os
import ssl
import subprocess
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
CLIENT = "44444444-4444-4444-4444-444444444444"
PRINCIPAL = "22222222-2222-2222-2222-222222222222"
GUEST = "55555555-5555-5555-5555-555555555555"
GUEST_PRINCIPAL = "66666666-6666-6666-6666-666666666666"
SECRET = "not-a-secret"
GROUP = "rg1"
REGION = "eastus"
SETTINGS = {"clockSpeed": 3000, "retryAfterMs": 10, "pageSize": 2}


def resource_id(kind, name, group=GROUP):
    """The id of a resource: `resource_id("Microsoft.Storage/storageAccounts", "a")`."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}"


STORAGE = resource_id("Microsoft.Storage/storageAccounts", "amlstore1")
VAULT = resource_id("Microsoft.KeyVault/vaults", "amlkv1")
REGISTRY = resource_id("Microsoft.ContainerRegistry/registries", "amlacr1")
SQL = resource_id("Microsoft.Sql/servers", "amlsql1")
INSIGHTS = resource_id("Microsoft.Insights/components", "amlai1")
SUBNET = resource_id("Microsoft.Network/virtualNetworks", "vnet1/subnets/pe")


class Simulator:
    """`arm-simulator serve`, stopped by `stop`."""

    def __init__(self, **settings):
        self.directory = tempfile.TemporaryDirectory(prefix="arm-simulator-")
        path = Path(self.directory.name) / "settings.json"
        path.write_text(json.dumps({**SETTINGS, **settings}))
        program = [os.environ["ARM_SIMULATOR"], "serve", "--tls-dir", self.directory.name]
        program += ["--seed", str(HERE / "seed.yaml"), "--settings", str(path)]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the simulator did not start: " + " ".join(program))
        self.endpoints = json.loads(line)
        self.base = self.endpoints["arm"]
        # What an administrator sets for a private authority: requests, aiohttp and urllib read these.
        os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = self.endpoints["ca"]

    def stop(self):
        folder = os.environ.get("ARM_EXCHANGES_DIR")
        if folder:
            archive = self.control("GET", "requests?format=har")
            Path(folder, f"{self.process.pid}.har").write_text(json.dumps(archive))
        self.process.terminate()
        self.process.wait(timeout=10)
        self.process.stdout.close()
        self.directory.cleanup()

    def control(self, method, what, body=None):
        """A request to the control interface."""
        request = urllib.request.Request(self.endpoints["control"] + "/" + what, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        context = ssl.create_default_context(cafile=self.endpoints["ca"])
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None
