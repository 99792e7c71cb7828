-- libdl's side of the benchmarks: a worker that speaks the protocol of protocol.md.
-- dlua ours.lua

local dl = require "dl"
local L = dl.layers

-- A kernel larger than this is left out of `update`: its copy would count as the worker's memory.
local SKIP = 8 << 20

local function words_of(line)
  local words = {}
  for word in line:gsub("#.*", ""):gmatch "%S+" do words[#words + 1] = word end
  return words
end

-- The lines of a network file; what they mean is in network.py.
local function read(path)
  local network = { layers = {} }
  for line in io.lines(path) do
    local words = words_of(line)
    if words[1] == "input" then
      network.input = {}
      for place = 2, #words do network.input[place - 1] = math.tointeger(words[place]) end
    elseif words[1] == "parameters" or words[1] == "classes" then
      network[words[1]] = math.tointeger(words[2])
    elseif words[1] == "application" then
      network.application, network.variant = words[2], words[3]
    elseif #words > 0 then
      local layer = { name = words[1], kind = words[2], inputs = {} }
      for place = 3, #words do
        local key, value = words[place]:match "^(%w+)=(.*)$"
        if key then
          layer[key] = math.tointeger(value) or tonumber(value) or value
        else
          layer.inputs[#layer.inputs + 1] = words[place]
        end
      end
      network.layers[#network.layers + 1] = layer
    end
  end
  return network
end

-- Top, bottom, left, right.
local function padding_of(layer)
  local padding = layer.padding or 0
  if math.type(padding) == "integer" then return { padding, padding, padding, padding } end
  local before, after = padding:match "^(%d+),(%d+)$"
  before, after = math.tointeger(before), math.tointeger(after)
  return { before, after, before, after }
end

local kinds = {}
local weighted = { conv = true, dense = true, bn = true, rnn = true, lstm = true, gru = true }

function kinds.conv(layer, x)
  return L.Conv2D{
    layer.filters, layer.kernel, strides = layer.stride, padding = padding_of(layer), use_bias = layer.bias == 1,
    name = layer.name,
  }(x)
end

function kinds.bn(layer, x)
  return L.BatchNormalization{ epsilon = layer.epsilon, momentum = 0.9, name = layer.name }(x)
end

function kinds.relu(layer, x) return L.ReLU{ name = layer.name }(x) end

function kinds.maxpool(layer, x)
  return L.MaxPooling2D{ layer.size, strides = layer.stride, padding = padding_of(layer), name = layer.name }(x)
end

function kinds.avgpool(layer, x) return L.AveragePooling2D{ layer.size, strides = layer.stride, name = layer.name }(x) end
function kinds.globalavgpool(layer, x) return L.GlobalAveragePooling2D{ name = layer.name }(x) end
function kinds.flatten(layer, x) return L.Flatten{ name = layer.name }(x) end
function kinds.dense(layer, x) return L.Dense{ layer.units, name = layer.name }(x) end
function kinds.rnn(layer, x) return L.SimpleRNN{ layer.units, name = layer.name }(x) end
function kinds.lstm(layer, x) return L.LSTM{ layer.units, name = layer.name }(x) end
function kinds.gru(layer, x) return L.GRU{ layer.units, name = layer.name }(x) end
function kinds.add(layer, ...) return L.Add{ name = layer.name }{ ... } end
function kinds.concat(layer, ...) return L.Concatenate{ name = layer.name }{ ... } end

-- The model of a network file, with the weights of a folder.
local function built(path, weights)
  local network = read(path)
  local values = { x = L.Input{ shape = network.input } }
  local last
  for _, layer in ipairs(network.layers) do
    local inputs = {}
    for place, name in ipairs(layer.inputs) do inputs[place] = assert(values[name], name) end
    last = assert(kinds[layer.kind], layer.kind)(layer, table.unpack(inputs))
    values[layer.name] = last
  end
  local model = dl.Model{ inputs = values.x, outputs = last }
  local count = 0
  for _, weight in ipairs(model.trainable_weights) do count = count + weight:numel() end
  assert(count == network.parameters, ("%s has %d parameters, not %d"):format(path, count, network.parameters))
  for _, layer in ipairs(network.layers) do
    if weighted[layer.kind] then
      local part, list = model:get_layer(layer.name), {}
      for place = 1, #part:get_weights() do
        list[place] = assert(dl.load(("%s/%s.%d.npy"):format(weights, layer.name, place - 1)))
      end
      part:set_weights(list)
      collectgarbage()
    end
  end
  return model, network
end

local optimizers = {}

function optimizers.sgd() return dl.optimizers.SGD{ learning_rate = 0.001, momentum = 0.9 } end
function optimizers.adam() return dl.optimizers.Adam{ learning_rate = 1e-3 } end

local function batch_of(folder, count)
  local x, y = assert(dl.load(folder .. "/x.npy")), assert(dl.load(folder .. "/y.npy"))
  return x[{ { 1, count } }], y[{ { 1, count } }]
end

local cases_of = {}

function cases_of.train(path, batch, optimizer, _, folder)
  local model, network = built(path, folder)
  model:compile{
    loss = dl.losses.SparseCategoricalCrossentropy{ from_logits = true, label_base = 0 },
    optimizer = assert(optimizers[optimizer], "no optimizer " .. optimizer)(),
  }
  local x, y = batch_of(folder, math.tointeger(batch))
  local case = { model = model }

  function case.run(times)
    for _ = 1, times do model:train_on_batch(x, y) end
    return {}
  end

  function case.losses(times)
    local losses = {}
    for step = 1, times do
      local result = model:train_on_batch(x, y)
      losses[step] = type(result) == "table" and (result.loss or result[1]) or result
    end
    return losses
  end

  function case.update()
    local norms = {}
    for _, layer in ipairs(network.layers) do
      if weighted[layer.kind] then
        -- Of batch normalisation's four the last two are averages of what went by.
        local weights = model:get_layer(layer.name).weights
        for place = 1, layer.kind == "bn" and 2 or #weights do
          if weights[place]:numel() <= SKIP then
            local before = assert(dl.load(("%s/%s.%d.npy"):format(folder, layer.name, place - 1)))
            norms[#norms + 1] = dl.ops.sqrt(dl.ops.sum(dl.ops.square(weights[place] - before))):item()
          end
        end
      end
    end
    collectgarbage()
    dl.trim_memory()
    return norms
  end

  return case
end

function cases_of.infer(path, batch, _, folder)
  local model = built(path, folder)
  local x = batch_of(folder, math.tointeger(batch))
  local case = { model = model }

  function case.run(times)
    for _ = 1, times do model:predict_on_batch(x) end
    return {}
  end

  function case.outputs() return model:predict_on_batch(x):reshape{ -1 }:totable() end

  return case
end

local cases, commands = {}, {}

function commands.hello() return { "dl", dl.version } end

function commands.threads(count)
  dl.set_num_threads(math.tointeger(count))
  return {}
end

function commands.prepare(id, kind, ...)
  cases[id] = assert(cases_of[kind], "no kind " .. kind)(...)
  return {}
end

-- The network of dl.applications that a file stands for has as many parameters.
function commands.application(path)
  local network = read(path)
  if network.application then
    local model, count = dl.applications[network.application]{ variant = network.variant }, 0
    for _, weight in ipairs(model.trainable_weights) do count = count + weight:numel() end
    assert(count == network.parameters, ("dl.applications.%s has %d parameters, not %d"):format(
      network.application, count, network.parameters))
  end
  return {}
end

-- Writes the model to a file, for programs that do not speak Lua.
function commands.save(path, file)
  cases[path].model:save(file)
  return {}
end

function commands.drop(id)
  cases[id] = nil
  collectgarbage()
  return {}
end

local function answer(words)
  local case = cases[words[2]]
  local reply
  if commands[words[1]] then
    reply = commands[words[1]](table.unpack(words, 2))
  else
    reply = assert(case and case[words[1]], "no command " .. words[1])(words[3] and math.tointeger(words[3]))
  end
  for place, value in ipairs(reply) do
    reply[place] = math.type(value) == "float" and ("%.17g"):format(value) or tostring(value)
  end
  return table.concat(reply, " ")
end

io.stdout:setvbuf "line"
for line in io.lines() do
  local words = words_of(line)
  if words[1] == "quit" then break end
  local fine, reply = pcall(answer, words)
  print(fine and ("ok " .. reply) or ("error " .. tostring(reply):gsub("%s+", " ")))
end
