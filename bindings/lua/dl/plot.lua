-- Models as graphs: text for Graphviz, and pictures (SVG) that need nothing else.

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

local plot = {}

local allowed = {
  show_shapes = "boolean", show_dtype = "boolean", show_layer_names = "boolean", show_layer_activations = "boolean",
  show_trainable = "boolean", rankdir = "string", dpi = "integer", to_file = "string",
}

local function shape_text(shape)
  if type(shape) ~= "table" then return "?" end
  if type(shape[1]) == "table" then
    local parts = {}
    for place, one in ipairs(shape) do parts[place] = shape_text(one) end
    return table.concat(parts, ", ")
  end
  local sizes = {}
  for place = 1, #shape do sizes[place] = shape[place] and ("%d"):format(shape[place]) or "None" end
  return "(" .. table.concat(sizes, ", ") .. ")"
end

-- Names of the layers whose outputs stand in the arguments of a call.
local function sources(value, found)
  if type(value) ~= "table" then return end
  if value.class_name == "__keras_tensor__" then
    found[#found + 1] = value.config.keras_history[1]
    return
  end
  for _, entry in pairs(value) do sources(entry, found) end
end

-- The layers with what is written on them, and which feeds which.
local function graph_of(model, options)
  arguments.self(model, "dl.Model", "summary")
  local json = core.decode(core.model_to_json(model))
  local nodes, places, edges = {}, {}, {}
  local layers = {}
  for _, layer in ipairs(model.layers) do layers[layer.name] = layer end
  local before
  for place, entry in ipairs(json.config.layers) do
    local name = entry.name or entry.config.name or ("layer_%d"):format(place)
    local lines = { options.show_layer_names and ("%s (%s)"):format(name, entry.class_name) or entry.class_name }
    local layer = layers[name]
    local activation = entry.config.activation
    if options.show_layer_activations and type(activation) == "string" then lines[#lines + 1] = "activation: " .. activation end
    if options.show_dtype and type(entry.config.dtype) == "string" then lines[#lines + 1] = "dtype: " .. entry.config.dtype end
    if options.show_trainable and layer then lines[#lines + 1] = "trainable: " .. tostring(layer.trainable) end
    if options.show_shapes then
      local out = layer and layer.output_shape or entry.config.batch_shape
      if layer and layer.input_shape then lines[#lines + 1] = "input: " .. shape_text(layer.input_shape) end
      lines[#lines + 1] = "output: " .. shape_text(out)
    end
    nodes[place], places[name] = { name = name, lines = lines }, place
    if json.class_name == "Sequential" then
      if before then edges[#edges + 1] = { before, place } end
      before = place
    end
  end
  for place, entry in ipairs(json.config.layers) do
    for _, node in ipairs(type(entry.inbound_nodes) == "table" and entry.inbound_nodes or {}) do
      local found = {}
      sources(node.args, found)
      sources(node.kwargs, found)
      for _, name in ipairs(found) do
        if places[name] then edges[#edges + 1] = { places[name], place } end
      end
    end
  end
  return nodes, edges, json.config.name
end

local function read(owner, options)
  options = arguments.options(owner, options, allowed)
  local rankdir = options.rankdir or "TB"
  if rankdir ~= "TB" and rankdir ~= "LR" then
    fail("ARGUMENT", ("%s: rankdir must be 'TB' or 'LR', got %s"):format(owner, kind_of(rankdir)))
  end
  return options, rankdir
end

--- The graph of a model's layers in Graphviz's language: model_to_dot(model, { show_shapes = true, rankdir = "TB" })
function plot.model_to_dot(model, options)
  local given, rankdir = read("model_to_dot", options)
  local nodes, edges, name = graph_of(model, given)
  local lines = {
    ("digraph %q {"):format(name or "model"), ("  graph [rankdir=%s%s];"):format(rankdir,
      given.dpi and (", dpi=%d"):format(given.dpi) or ""), "  node [shape=box, fontname=\"Helvetica\", style=rounded];",
  }
  local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0") .. '"' end
  for place, node in ipairs(nodes) do
    local parts = {}
    for at, line in ipairs(node.lines) do parts[at] = quoted(line):sub(2, -2) end
    lines[#lines + 1] = ("  n%d [label=\"%s\"];"):format(place, table.concat(parts, "\\n"))
  end
  for _, edge in ipairs(edges) do lines[#lines + 1] = ("  n%d -> n%d;"):format(edge[1], edge[2]) end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

local function escaped(text) return (text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub('"', "&quot;")) end

--- The same as a picture (SVG text): each layer stands one level behind the last of those that feed it.
function plot.model_to_svg(model, options)
  local given, rankdir = read("model_to_svg", options)
  local nodes, edges = graph_of(model, given)
  local level, levels = {}, {}
  for place in ipairs(nodes) do level[place] = 1 end
  -- Layers stand in an order in which feeders come first; a shared layer may still feed one before it.
  for _ = 1, #nodes do
    local changed = false
    for _, edge in ipairs(edges) do
      if edge[1] < edge[2] and level[edge[2]] <= level[edge[1]] then
        level[edge[2]], changed = level[edge[1]] + 1, true
      end
    end
    if not changed then break end
  end
  local wide, high = 0, 0
  for place, node in ipairs(nodes) do
    node.width, node.height = 0, 12 + 16 * #node.lines
    for _, line in ipairs(node.lines) do node.width = math.max(node.width, 20 + 7 * #line) end
    levels[level[place]] = levels[level[place]] or {}
    table.insert(levels[level[place]], node)
    wide, high = math.max(wide, node.width), math.max(high, node.height)
  end
  local across, along = rankdir == "TB" and wide + 30 or high + 24, rankdir == "TB" and high + 36 or wide + 50
  local broadest = 0
  for _, row in ipairs(levels) do broadest = math.max(broadest, #row) end
  for depth, row in ipairs(levels) do
    for at, node in ipairs(row) do
      local side, ahead = (broadest - #row) * across / 2 + (at - 0.5) * across, (depth - 0.5) * along
      node.x, node.y = side, ahead
      if rankdir == "LR" then node.x, node.y = ahead, side end
    end
  end
  local width, height = broadest * across, #levels * along
  if rankdir == "LR" then width, height = height, width end
  local lines = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="Helvetica, sans-serif" '
      .. 'font-size="12">'):format(width, height, width, height),
    '<defs><marker id="arrow" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"><path d="M0,0 L8,4 L0,8 z"/>'
      .. "</marker></defs>",
  }
  for _, edge in ipairs(edges) do
    local from, to = nodes[edge[1]], nodes[edge[2]]
    local x1, y1, x2, y2 = from.x, from.y + from.height / 2, to.x, to.y - to.height / 2
    if rankdir == "LR" then x1, y1, x2, y2 = from.x + from.width / 2, from.y, to.x - to.width / 2, to.y end
    lines[#lines + 1] = ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="black" marker-end="url(#arrow)"/>'):format(
      x1, y1, x2, y2)
  end
  for _, node in ipairs(nodes) do
    lines[#lines + 1] = ('<rect x="%.1f" y="%.1f" width="%d" height="%d" rx="6" fill="#eef3fa" stroke="#44597a"/>'):format(
      node.x - node.width / 2, node.y - node.height / 2, node.width, node.height)
    for at, line in ipairs(node.lines) do
      lines[#lines + 1] = ('<text x="%.1f" y="%.1f" text-anchor="middle"%s>%s</text>'):format(node.x,
        node.y - node.height / 2 + 4 + 16 * at - 1, at == 1 and ' font-weight="bold"' or "", escaped(line))
    end
  end
  lines[#lines + 1] = "</svg>"
  return table.concat(lines, "\n") .. "\n"
end

--- Writes the graph of a model: plot_model(model, { to_file = "model.svg", show_shapes = true }); a name that ends in .dot or
-- .gv gets Graphviz's language. True, or nil and why.
function plot.plot_model(model, options)
  if type(options) == "string" then options = { to_file = options } end
  local given = read("plot_model", options)
  local path = given.to_file or "model.svg"
  local ending = path:lower():match "%.(%w+)$"
  local text
  if ending == "svg" then
    text = plot.model_to_svg(model, options)
  elseif ending == "dot" or ending == "gv" then
    text = plot.model_to_dot(model, options)
  else
    fail("ARGUMENT", "plot_model writes .svg, .dot and .gv, got " .. kind_of(path))
  end
  if not io then fail("UNSUPPORTED", "plot_model writes files, which this host does not let scripts do") end
  local file, message = io.open(path, "w")
  if not file then return nil, message end
  local fine, why = file:write(text)
  file:close()
  if not fine then return nil, why end
  return true
end

return plot
