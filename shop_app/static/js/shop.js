// Enhancements of the storefront: each import is one job, and the shop is complete without any of them.
import "./shop/widgets.js";
import "./shop/combobox.js";
import "./shop/carousel.js";
import "./shop/menu.js";
import "./shop/clean.js";
