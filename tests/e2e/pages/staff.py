"""Somebody at the console, who changes a product while a shopper looks at it."""

from playwright.sync_api import Browser, Page

from shop_app.catalog.demo.logins import LOGINS

OWNER = LOGINS[2]


class Staff:
    """Signed in as the owner, in a browser of their own."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.context = browser.new_context(base_url=url)
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.page.goto("/sign-in")
        self.page.get_by_label("E-mail").fill(OWNER[0])
        self.page.get_by_label("Password", exact=True).fill(OWNER[1])
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in").click()

    def change(self, sku: str, what: str, value: str) -> str:
        """Give every variant of a product another "Price" or "Stock"; returns what the first one had."""
        self.page.goto(f"/admin/products?q={sku}")
        self.page.locator("tr").filter(has_text=sku).get_by_role("link").first.click()
        fields = self.page.get_by_label(f"{what} of ").all()
        before = fields[0].input_value()
        for field in fields:
            field.fill(value)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Save").click()
        return before
