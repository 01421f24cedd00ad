// Shows who answers, twice a second, and the stories of whoever answers.
// Whatever comes from the server goes into the page as text, never as HTML.
"use strict";

const INTERVAL = 500;  // milliseconds between two questions
const PATIENCE = 5000; // milliseconds an answer may take
const BARS = 120;      // one minute
const SWITCHES = 10;   // so many are listed

const $ = (id) => document.getElementById(id);
const element = (name, text = "", className = "") =>
  Object.assign(document.createElement(name), { textContent: text, className });

let shown = null;
let answers = 0;
let failures = 0;

async function json(path, options = {}) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE), ...options });
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) throw new Error(body?.error ?? `${response.status} ${response.statusText}`);
  return body;
}

function bar(className, title) {
  const tick = element("i", "", className);
  tick.title = title;
  $("strip").append(tick);
  if ($("strip").childElementCount > BARS) $("strip").firstElementChild.remove();
}

function show(instance) {
  const { app, release, color, port, pid, started } = instance;
  document.documentElement.dataset.color = color;
  document.title = `${release} (${color}) · ${app}`;
  document.querySelector("link[rel=icon]").href = `/icon-${color}.svg`;
  $("release").textContent = release;
  $("release").style.setProperty("--length", [...release].length);
  $("color").textContent = color;
  $("port").textContent = port;
  $("pid").textContent = pid;
  $("started").dateTime = started;
  $("started").textContent = new Date(started).toLocaleTimeString();
  $("started").title = started;
}

function noteSwitch(from, to) {
  const line = element("li");
  line.append(element("time", new Date().toLocaleTimeString()),
    `${from.color} ${from.release} → ${to.color} ${to.release}`);
  $("switches").prepend(line);
  if ($("switches").childElementCount > SWITCHES) $("switches").lastElementChild.remove();
}

async function ask() {
  try {
    const instance = await json("/api/instance");
    bar(instance.color, `${instance.color} ${instance.release}`);
    $("answers").textContent = ++answers;
    $("trouble").textContent = "";
    document.body.classList.remove("away");
    if (shown?.started !== instance.started || shown.release !== instance.release || shown.color !== instance.color) {
      if (shown) noteSwitch(shown, instance);
      shown = instance;
      show(instance);
      await listStories();
    }
  } catch (error) {
    bar("failed", error.message);
    $("failures").textContent = ++failures;
    $("failed").classList.add("bad");
    $("trouble").textContent = error.message;
    document.body.classList.add("away");
  }
  setTimeout(ask, INTERVAL);
}

function card(story) {
  const article = element("article", "", "story");
  article.append(element("h3", story.name));
  if (story.narrative) article.append(element("p", story.narrative));
  for (const scenario of story.scenarios) {
    const details = element("details");
    const steps = element("ul");
    for (const step of scenario.steps) {
      const [word, ...rest] = step.split(" ");
      const item = element("li");
      item.append(element("b", word), ` ${rest.join(" ")}`);
      steps.append(item);
    }
    details.append(element("summary", scenario.name), steps);
    article.append(details);
  }
  return article;
}

async function listStories() {
  const stories = await json("/api/stories");
  $("count").textContent = stories.length;
  $("stories").replaceChildren(...stories.map(card).reverse());
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const field = (name) => form.elements[name].value.trim();
  const steps = field("steps").split("\n").map((line) => line.trim()).filter(Boolean);
  const scenarios = steps.length || field("scenario") ? [{ name: field("scenario"), steps }] : [];
  const story = { name: field("name"), narrative: field("narrative"), scenarios };
  try {
    await json("/api/stories", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(story) });
    form.reset();
    $("refusal").textContent = "";
    await listStories();
  } catch (error) {
    $("refusal").textContent = error.message;
  }
});

ask();
