"""`xmpptap serve` in a profile, with accounts; or Prosody behind the proxy, to try a test itself."""

from prosody import Prosody
from tap import Tap

PROFILES = ("documented", "modern")
REFERENCE = "prosody"
DOMAIN, PASSWORD = "xmpp.example", "correct-horse-battery"
MODULES = ("blocklist", "carbons", "iq", "mam", "message", "pep", "presence", "register_ibr",
           "smacks", "user_account_management", "version")


def served(folder, profile, accounts, wait_s):
    """`accounts`: contacts by bare JID, subscribed both ways. The documented profile lets in
    whoever comes, and gives it the contact that the documented account had."""
    make = Reference if profile == REFERENCE else Served
    return make(folder, profile, accounts, wait_s)


class Served:
    def __init__(self, folder, profile, accounts, wait_s):
        self.folder = folder
        self.tap = Tap(folder, wait_s)
        self.options = ["--profile", profile]
        if profile == "modern":
            path = folder / "accounts"
            path.touch(mode=0o600)
            path.write_text("".join(
                f"[{jid}]\npassword = {PASSWORD}\n"
                + "".join(f"roster = {contact} both Contact\n" for contact in contacts) + "\n"
                for jid, contacts in accounts.items()))
            self.options += ["--accounts", path]

    async def start(self):
        await self.tap.serve(*self.options)

    async def stop(self):
        return await self.tap.stop()

    def log(self):
        return self.tap.messages()


class Reference(Served):
    def __init__(self, folder, _profile, accounts, wait_s):
        super().__init__(folder, "", accounts, wait_s)
        self.accounts = accounts
        self.prosody = Prosody(folder / "prosody", MODULES, allow_registration="true")

    def write_accounts(self):
        """As its storage has them: its own command takes some tenths of a second for each."""
        data = self.prosody.folder / "data" / DOMAIN.replace(".", "%2e")
        for name in "accounts", "roster":
            (data / name).mkdir(parents=True)
        for jid, contacts in self.accounts.items():
            file = jid.partition("@")[0] + ".dat"
            (data / "accounts" / file).write_text(f'return {{ password = "{PASSWORD}" }};\n')
            items = "".join(f'["{contact}"] = {{ subscription = "both"; name = "Contact"; '
                            "groups = {}; }; " for contact in contacts)
            (data / "roster" / file).write_text(
                f"return {{ {items}[false] = {{ version = 1 }}; }};\n")

    async def start(self):
        self.write_accounts()
        await self.prosody.start()
        await self.tap.start(self.prosody.port, "--upstream-ca", self.prosody.ca)

    async def stop(self):
        status = await super().stop()
        await self.prosody.stop()
        return status

    def log(self):
        return super().log() + self.prosody.log.read_text()
