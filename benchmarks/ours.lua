-- libdl's side of the training benchmarks: a worker that speaks the protocol of protocol.md.
-- dlua ours.lua

local dl = require "dl"
local L = dl.layers

local models = {}

function models.lenet()
  return dl.Sequential{
    L.Input{ shape = { 28, 28, 1 } },
    L.Conv2D{ 6, 5, padding = "same", activation = "relu" }, L.MaxPooling2D{ 2 },
    L.Conv2D{ 16, 5, activation = "relu" }, L.MaxPooling2D{ 2 },
    L.Flatten(),
    L.Dense{ 120, activation = "relu" }, L.Dense{ 84, activation = "relu" }, L.Dense{ 10, activation = "softmax" },
  }
end

function models.mlp()
  return dl.Sequential{
    L.Input{ shape = { 28, 28, 1 } },
    L.Flatten(),
    L.Dense{ 512, activation = "relu" }, L.Dense{ 512, activation = "relu" }, L.Dense{ 10, activation = "softmax" },
  }
end

local optimizers = {}

function optimizers.sgd() return dl.optimizers.SGD{ learning_rate = 0.01, momentum = 0.9 } end
function optimizers.adam() return dl.optimizers.Adam{ learning_rate = 1e-3 } end

local function compiled(name, optimizer, weights)
  local model = assert(models[name], "no model " .. name)()
  model:compile{
    loss = "sparse_categorical_crossentropy",
    optimizer = assert(optimizers[optimizer], "no optimizer " .. optimizer)(),
    label_base = 0,
  }
  local values = {}
  for place = 1, #model:get_weights() do
    values[place] = assert(dl.load(("%s/%d.npy"):format(weights, place - 1)))
  end
  model:set_weights(values)
  return model
end

-- What train_on_batch and fit give back, as a number: the loss alone, or a table that begins with it.
local function loss_of(result)
  return type(result) == "table" and (result.loss or result[1]) or result
end

local kinds = {}

function kinds.train(name, batch, optimizer, _, weights, folder)
  local model, count = compiled(name, optimizer, weights), math.tointeger(tonumber(batch))
  local x = assert(dl.load(folder .. "/x.npy"))[{ { 1, count } }]
  local y = assert(dl.load(folder .. "/y.npy"))[{ { 1, count } }]
  local case = {}

  function case.run(times)
    for _ = 1, times do model:train_on_batch(x, y) end
    return {}
  end

  function case.losses(times)
    local losses = {}
    for step = 1, times do losses[step] = loss_of(model:train_on_batch(x, y)) end
    return losses
  end

  return case
end

function kinds.epoch(name, batch, optimizer, _, weights, folder)
  local model, count = compiled(name, optimizer, weights), math.tointeger(tonumber(batch))
  local set = assert(dl.datasets.fashion_mnist{ path = folder, channels = true, label_base = 0 })
  local case = {}

  function case.run(times)
    local history = model:fit(set.train.x, set.train.y, { epochs = times, batch_size = count, verbose = 0 })
    return { history.loss[#history.loss] }
  end

  return case
end

local cases, commands = {}, {}

function commands.hello() return { "dl", dl.version or "?" } end

function commands.threads(count)
  dl.set_num_threads(math.tointeger(tonumber(count)))
  return {}
end

function commands.prepare(id, kind, ...)
  cases[id] = assert(kinds[kind], "no kind " .. kind)(...)
  return {}
end

function commands.run(id, times) return cases[id].run(math.tointeger(tonumber(times))) end

function commands.losses(id, times) return cases[id].losses(math.tointeger(tonumber(times))) end

function commands.drop(id)
  cases[id] = nil
  collectgarbage()
  return {}
end

local function answer(words)
  local command = assert(commands[words[1]], "no command " .. tostring(words[1]))
  local reply = command(table.unpack(words, 2))
  for place, value in ipairs(reply) do
    reply[place] = type(value) == "number" and ("%.17g"):format(value) or tostring(value)
  end
  return table.concat(reply, " ")
end

io.stdout:setvbuf "line"
for line in io.lines() do
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  if words[1] == "quit" then break end
  local fine, reply = pcall(answer, words)
  print(fine and ("ok " .. reply) or ("error " .. tostring(reply):gsub("%s+", " ")))
end
