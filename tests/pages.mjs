// pages.mjs MODULES BROWSER FOLDER PAGE.html...: opens each page in a headless browser at 1,280 and 390 pixels, light and dark, and
// goes through it by the keyboard alone. Prints one line of JSON for each view; the caller judges it. MODULES: a folder
// with puppeteer-core and axe-core. FOLDER: for screenshots; "-": none.
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {basename, resolve} from "node:path";
import {pathToFileURL} from "node:url";

const [modules, browserPath, folder, ...pages] = process.argv.slice(2);
const require = createRequire(resolve(modules, "x"));
const puppeteer = require("puppeteer-core"), axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const browser = await puppeteer.launch({executablePath: browserPath, headless: true, args: ["--no-sandbox", "--disable-gpu"],
    protocolTimeout: 300000});

// All that can have the focus: what Tab should reach. A group of radio buttons is one stop; arrows go on within it.
const stops = "a[href], summary, input, button, select, textarea, [tabindex='0']";

// Tab until the focus comes round or nothing new is met; each stop is marked, and its place on the screen kept.
async function walk(page) {
    const all = await page.$$eval(stops, found => found.filter(e => e.checkVisibility()).length);
    let met = 0, hidden = 0, back = 0, last = -1;
    for (let i = 0; i < all + 5; i++) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
            const e = document.activeElement, box = e.getBoundingClientRect();
            if (e === document.body || e.dataset.met) return null;
            e.dataset.met = "1";
            const ring = getComputedStyle(e);
            return {y: box.top + scrollY, seen: box.bottom > 0 && box.top < innerHeight && ring.outlineStyle !== "none"};
        });
        if (!at) { // the end of the page; from there it goes on at the top
            if (i > met) break;
            last = -1;
            continue;
        }
        met++;
        hidden += !at.seen;
        back += at.y < last - 1; // the focus goes up the page: not in reading order
        last = at.y;
    }
    const missed = await page.$$eval(stops, found => found.filter(e => e.checkVisibility() && !e.dataset.met)
        .map(e => e.outerHTML.slice(0, 80)));
    await page.evaluate(() => document.querySelectorAll("[data-met]").forEach(e => delete e.dataset.met));
    return {stops: all, met, missed, hidden, back};
}

// The same in the other order of the page, where it has one: what is seen first comes first.
async function walkOther(page) {
    if (!await page.$("#by-slow")) return null;
    await page.focus("#by-slow");
    await page.keyboard.press("Space");
    const {missed, back} = await walk(page);
    return {missed, back};
}

// Space or Enter opens every summary that the keyboard is on.
async function opens(page) {
    const first = await page.$("summary");
    if (!first) return null;
    await first.focus();
    const open = () => page.evaluate(() => document.activeElement.parentElement.open);
    const before = await open();
    await page.keyboard.press("Enter");
    const once = await open();
    await page.keyboard.press("Space");
    return once !== before && (await open()) === before;
}

for (const file of pages)
    for (const width of [1280, 390])
        for (const scheme of ["light", "dark"]) {
            const page = await browser.newPage(), asked = [];
            page.on("request", r => asked.push(r.url()));
            let dialogs = 0;
            page.on("dialog", d => { dialogs++; d.dismiss(); });
            await page.setBypassCSP(true); // axe-core is ours; what the pages themselves may run is another test's
            await page.setViewport({width, height: 900, deviceScaleFactor: 1});
            await page.emulateMediaFeatures([{name: "prefers-color-scheme", value: scheme}]);
            await page.goto(pathToFileURL(resolve(file)).href, {waitUntil: "load"});
            const keys = scheme === "light" ? {...await walk(page), other: await walkOther(page), opens: await opens(page)} : {};
            if (folder !== "-") await page.screenshot({path: `${folder}/${basename(file, ".html")}-${width}-${scheme}.png`});
            const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
            const closed = await wide();
            await page.$$eval("details", all => all.forEach(d => d.open = true));
            if (folder !== "-") await page.screenshot({path: `${folder}/${basename(file, ".html")}-${width}-${scheme}-open.png`});
            await page.evaluate(axe);
            const found = await page.evaluate(() => axe.run({resultTypes: ["violations"]}));
            console.log(JSON.stringify({page: basename(file), width, scheme, fits: Math.max(closed, await wide()) <= width,
                asked: asked.length - 1, dialogs, title: await page.title(), ...keys,
                axe: found.violations.map(v => v.id + " " + v.nodes[0].target.join(" "))}));
            await page.close();
        }
await browser.close();
