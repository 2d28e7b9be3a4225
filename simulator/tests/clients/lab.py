"""Microsoft's clients as they come out of their packages, for a simulator that each test class has to itself."""

import contextlib
import logging
import unittest

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential

import simulator
from simulator import *  # noqa: F403  (the names of the seed)
from simulator import CLIENT, SECRET, SUBSCRIPTION, TENANT

SCOPE = "https://management.azure.com/.default"
# What a client logs about a failure that a test provokes is no news.
logging.disable(logging.WARNING)


class Simulator(simulator.Simulator):
    """With clients."""

    def credential(self, client=CLIENT, secret=SECRET, tenant=TENANT):
        return ClientSecretCredential(
            tenant, client, secret, authority=self.base, disable_instance_discovery=True
        )

    def client(self, kind, credential=None, **options):
        """A management client of a class, for the subscription of the seed."""
        return kind(
            credential or self.credential(),
            SUBSCRIPTION,
            base_url=self.base,
            credential_scopes=[SCOPE],
            # The simulator says how long to wait; without this a missing header would cost 30 seconds.
            polling_interval=1,
            # A failing test shall fail at once.
            retry_total=0,
            **options,
        )


class TestCase(unittest.TestCase):
    """Tests that share a simulator."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.simulator = Simulator(**cls.settings)
        cls.addClassCleanup(cls.simulator.stop)

    @contextlib.contextmanager
    def refused(self, status, code):
        """The block is to end with an ARM error; yields a list that then holds it."""
        errors = []
        with self.assertRaises(HttpResponseError) as context:
            yield errors
        error = context.exception
        errors.append(error)
        self.assertEqual(error.status_code, status, error)
        self.assertEqual(error.error.code if error.error else None, code, error)
