"""What aioxmpp's tests get their accounts from: see own_tests.py."""

from aioxmpp.e2etest.provision import Provisioner, StaticPasswordProvisioner


class NewAccounts(StaticPasswordProvisioner):
    """Each client has an account that none had before."""

    async def teardown(self):
        await Provisioner.teardown(self)
