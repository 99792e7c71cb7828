-- Writes the reference as HTML out of the declarations: a page for each module and an index with search, all self-contained.
--   build/bin/dlua scripts/html.lua [folder]

local dl = require "dl"
local doc = require "dl.doc"
local examples = require "dl.examples"
local folder = arg[1] or "build/docs/html"

local function escaped(text)
  return ((text or ""):gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub('"', "&quot;"))
end

-- Declarations are plain text in which `names` stand in backquotes.
local function prose(text)
  return (escaped(text):gsub("`([^`]*)`", "<code>%1</code>"))
end

local style = [[
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem }
nav a { margin-right: .8em } code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { background: #8881; padding: .7em; overflow-x: auto; border-radius: 6px }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #8884; padding: .3em .5em; text-align: left; vertical-align: top }
h2 { border-top: 1px solid #8886; padding-top: 1em } dt { font-weight: bold } .names a { margin-right: .7em }
input { font: inherit; width: 100%; padding: .4em; box-sizing: border-box }
]]

local pages = {}
for _, category in ipairs(doc.categories) do
  local entries = doc.entries(category[1])
  if #entries > 0 then pages[#pages + 1] = { module = category[2], entries = entries } end
end

local function navigation()
  local parts = { '<nav><a href="index.html">Index</a>' }
  for _, page in ipairs(pages) do parts[#parts + 1] = ('<a href="%s.html">%s</a>'):format(page.module, page.module) end
  return table.concat(parts, " ") .. "</nav>"
end

local function write(name, title, body)
  local file = assert(io.open(("%s/%s.html"):format(folder, name), "w"))
  file:write('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n',
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>', title, "</title>\n<style>\n", style,
    "</style></head>\n<body>\n", navigation(), "\n", body, "\n</body></html>\n")
  assert(file:close())
end

local function default_of(argument)
  if argument.required then return "required" end
  if argument.default == nil then return "none" end
  return "<code>" .. escaped(doc.literal(argument.default, argument.kind)) .. "</code>"
end

local function entry(module, declaration)
  local lines = {
    ('<h2 id="%s">%s</h2>'):format(declaration.name, declaration.name),
    "<pre>" .. escaped(doc.call(module, declaration)) .. "</pre>", "<p>" .. prose(declaration.summary) .. "</p>", "<dl>",
  }
  local function fact(title, text, plain)
    if not text or text == "" then return end
    lines[#lines + 1] = ("<dt>%s</dt><dd>%s</dd>"):format(title, plain and "<code>" .. escaped(text) .. "</code>" or prose(text))
  end
  fact("Aliases", table.concat(declaration.aliases or {}, ", "), true)
  fact("Formula", declaration.formula, true)
  fact("Shapes", declaration.shapes)
  fact("Source", declaration.source)
  lines[#lines + 1] = "</dl>"
  if #declaration.arguments > 0 then
    lines[#lines + 1] = "<table><tr><th>Option</th><th>Kind</th><th>Default</th><th>What</th></tr>"
    for _, argument in ipairs(declaration.arguments) do
      lines[#lines + 1] = ("<tr><td><code>%s</code></td><td>%s</td><td>%s</td><td>%s</td></tr>"):format(argument.name,
        prose(doc.expected(argument)), default_of(argument), prose(argument.doc))
    end
    lines[#lines + 1] = "</table>"
  end
  lines[#lines + 1] = "<p><b>Errors</b></p><ul>"
  for _, text in ipairs(doc.errors(declaration)) do lines[#lines + 1] = "<li>" .. prose(text) .. "</li>" end
  lines[#lines + 1] = "</ul>"
  local example = examples.of(declaration)
  if example then lines[#lines + 1] = "<p><b>Example</b></p><pre>" .. escaped((example:gsub("%s+$", ""))) .. "</pre>" end
  return table.concat(lines, "\n")
end

os.execute(("mkdir -p '%s'"):format((folder:gsub("'", "'\\''"))))

local index = {
  "<h1>libdl: reference</h1>", '<p><input id="search" placeholder="Search by name" autofocus></p>',
  '<p id="found" class="names"></p>',
}
local names = {}
for _, page in ipairs(pages) do
  local contents, bodies = {}, {}
  for place, declaration in ipairs(page.entries) do
    contents[place] = ('<a href="#%s">%s</a>'):format(declaration.name, declaration.name)
    bodies[place] = entry(page.module, declaration)
    names[#names + 1] = ('["%s","%s","%s"]'):format(page.module, declaration.name,
      table.concat(declaration.aliases or {}, " "))
  end
  write(page.module, "dl." .. page.module, ("<h1>dl.%s</h1>\n<p class=\"names\">%s</p>\n%s"):format(page.module,
    table.concat(contents, "\n"), table.concat(bodies, "\n")))
  index[#index + 1] = ('<h2><a href="%s.html">dl.%s</a></h2><p class="names">%s</p>'):format(page.module, page.module,
    (table.concat(contents, "\n"):gsub('href="#', 'href="' .. page.module .. ".html#")))
end
index[#index + 1] = "<script>\nconst names = [" .. table.concat(names, ",") .. "];\n" .. [[
const field = document.getElementById("search"), found = document.getElementById("found");
field.oninput = () => {
  const word = field.value.trim().toLowerCase();
  found.replaceChildren(...(word === "" ? [] : names.filter(n => (n[1] + " " + n[2]).toLowerCase().includes(word)).slice(0, 60))
    .map(n => Object.assign(document.createElement("a"), { href: n[0] + ".html#" + n[1], textContent: n[0] + "." + n[1] })));
};
</script>]]
write("index", "libdl: reference", table.concat(index, "\n"))
print(("%d entries in %s (libdl %s)"):format(#names, folder, dl.version))
