-- Recurrent layers, cells (one written here), wrappers, masks, embeddings.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

local function sequence(batch, steps, features)
  local rows, n = {}, 0
  for b = 1, batch do
    rows[b] = {}
    for t = 1, steps do
      rows[b][t] = {}
      for f = 1, features do
        n = n + 1
        rows[b][t][f] = math.sin(n * 1.7)
      end
    end
  end
  return dl.tensor(rows)
end

test("shapes of outputs and states", function()
  local x = sequence(2, 5, 3)
  for name, states in pairs{ SimpleRNN = 1, GRU = 1, LSTM = 2 } do
    equal(L[name]{ units = 4 }(x).shape, { 2, 4 })
    equal(L[name]{ units = 4, return_sequences = true }(x).shape, { 2, 5, 4 })
    local all = { L[name]{ units = 4, return_state = true }(x) }
    equal(#all, states + 1)
    equal(all[2].shape, { 2, 4 })
    near(all[1]:totable(), all[2]:totable(), 1e-7)
  end
end)

test("initial_state continues a sequence", function()
  local x = sequence(2, 6, 3)
  for _, name in ipairs{ "SimpleRNN", "GRU", "LSTM" } do
    local layer = L[name]{ units = 4, return_state = true }
    local whole = layer(x)
    local state = table.pack(layer(dl.ops.slice(x, { start_indices = { 1, 1, 1 }, shape = { 2, 2, 3 } })))
    local rest = layer(dl.ops.slice(x, { start_indices = { 1, 3, 1 }, shape = { 2, 4, 3 } }),
      { initial_state = table.move(state, 2, state.n, 1, {}) })
    near(rest:totable(), whole:totable(), 1e-5)
  end
end)

test("stateful layers carry on until reset_states", function()
  local x = sequence(2, 3, 2)
  local layer = L.GRU{ units = 3, stateful = true }
  local first = layer(x):totable()
  local second = layer(x):totable()
  assert(math.abs(first[1][1] - second[1][1]) > 1e-6)
  layer:reset_states()
  near(layer(x):totable(), first, 1e-6)
  raises({ "stateful", "batches of 2" }, layer, sequence(3, 3, 2))
  local model = dl.Sequential{ layer, L.Dense{ 1 } }
  model:reset_states()
end)

test("a result does not depend on padding", function()
  local short, long = sequence(1, 3, 2), sequence(1, 3, 2):totable()
  for _ = 1, 4 do long[1][#long[1] + 1] = { 0, 0 } end
  for _, make in ipairs{
    function() return L.LSTM{ units = 3 } end, function() return L.GRU{ units = 3 } end,
    function() return L.SimpleRNN{ units = 3 } end, function() return L.Bidirectional{ layer = L.GRU{ units = 3 } } end,
    function() return L.RNN{ cell = L.StackedRNNCells{ cells = { L.GRUCell{ units = 2 }, L.LSTMCell{ units = 3 } } } } end,
  } do
    local layer, masking = make(), L.Masking{}
    local expected = layer(short):totable()
    near(layer(masking(dl.tensor(long))):totable(), expected, 1e-6)
    near(layer(dl.tensor(long), { mask = { { 1, 1, 1, 0, 0, 0, 0 } } }):totable(), expected, 1e-6)
  end
end)

test("a cell written in Lua", function()
  local Cell = L.Layer:extend("RunningSum", {
    state_size = 2,
    build = function(self, shapes)
      self.factor = self:add_weight{ name = "factor", shape = { shapes[1][#shapes[1]] }, initializer = "ones" }
    end,
    call = function(self, inputs)
      local sum = inputs[2] + inputs[1] * self.factor
      return { sum * 2, sum }
    end,
  })
  local x = dl.tensor{ { { 1, 2 }, { 3, 4 }, { 5, 6 } } }
  local layer = L.RNN{ cell = Cell{}, return_sequences = true, return_state = true }
  local y, state = layer(x)
  equal(y:totable(), { { { 2, 4 }, { 8, 12 }, { 18, 24 } } })
  equal(state:totable(), { { 9, 12 } })
  equal(L.RNN{ cell = Cell{}, go_backwards = true }(x):totable(), { { 18, 24 } })
  -- In a model it trains, and comes back from JSON.
  local input = L.Input{ shape = { 3, 2 } }
  local model = dl.Model{ inputs = input, outputs = L.Dense{ 1 }(L.RNN{ cell = Cell{} }(input)) }
  model:compile{ loss = "mse", optimizer = "sgd" }
  model:fit(x, dl.tensor{ { 1 } }, { epochs = 1, verbose = 0 })
  local again = dl.models.from_json(model:to_json())
  again:set_weights(model:get_weights())
  near(again:predict(x):totable(), model:predict(x):totable(), 1e-6)
  local Bad = L.Layer:extend("NoState", { call = function(_, inputs) return inputs end })
  raises({ "state_size" }, L.RNN, { cell = Bad{} })
  raises({ "state_size" }, L.RNN, { cell = L.Dense{ 2 } })
end)

test("masks reach losses and metrics", function()
  local ids = dl.tensor({ { 1, 2, 0, 0 }, { 3, 0, 0, 0 } }, "int32")
  local model = dl.Sequential{
    L.Embedding{ input_dim = 4, output_dim = 3, mask_zero = true }, L.LSTM{ units = 3, return_sequences = true },
    L.Dense{ 1 },
  }
  model:compile{ loss = "mse", metrics = { "mae" }, weighted_metrics = {} }
  local truth = dl.tensor{ { { 1 }, { 2 }, { 9 }, { 9 } }, { { 3 }, { 9 }, { 9 }, { 9 } } }
  local result = model:evaluate(ids, truth, { verbose = 0 })
  local y = model:predict(ids):totable()
  local squares = ((y[1][1][1] - 1) ^ 2 + (y[1][2][1] - 2) ^ 2 + (y[2][1][1] - 3) ^ 2) / 3
  local magnitudes = (math.abs(y[1][1][1] - 1) + math.abs(y[1][2][1] - 2) + math.abs(y[2][1][1] - 3)) / 3
  near(result.loss, squares, 1e-4)
  near(result.mae or result.mean_absolute_error, magnitudes, 1e-4)
  -- What stands at masked steps changes nothing.
  local other = dl.tensor{ { { 1 }, { 2 }, { -50 }, { 0 } }, { { 3 }, { 1 }, { 2 }, { 3 } } }
  near(model:evaluate(ids, other, { verbose = 0 }).loss, result.loss, 1e-5)
end)

test("layers in Lua see and pass masks", function()
  local seen
  local Look = L.Layer:extend("Look", {
    supports_masking = true,
    call = function(_, x, options)
      seen = options.mask and options.mask:totable()
      return x * 1
    end,
  })
  local x = dl.tensor{ { { 1, 1 }, { 0, 0 } } }
  local gru = L.GRU{ units = 2 }
  local masked = gru(Look{}(L.Masking{}(x))):totable()
  equal(seen, { { true, false } })
  near(masked, gru(dl.tensor{ { { 1, 1 } } }):totable(), 1e-6)
end)

test("Bidirectional and TimeDistributed", function()
  local x = sequence(2, 4, 3)
  equal(L.Bidirectional{ layer = L.LSTM{ units = 3 } }(x).shape, { 2, 6 })
  equal(L.Bidirectional{ layer = L.LSTM{ units = 3 }, merge_mode = "sum" }(x).shape, { 2, 3 })
  local a, b = L.Bidirectional{ layer = L.GRU{ units = 3, return_sequences = true }, merge_mode = false }(x)
  equal(a.shape, { 2, 4, 3 })
  equal(b.shape, { 2, 4, 3 })
  equal(#table.pack(L.Bidirectional{ layer = L.LSTM{ units = 3, return_state = true } }(x)), 5)
  equal(L.TimeDistributed{ layer = L.Dense{ 5 } }(x).shape, { 2, 4, 5 })
  raises({ "recurrent", "Dense" }, L.Bidirectional, { layer = L.Dense{ 2 } })
  raises({ "go_backwards" }, L.Bidirectional, { layer = L.GRU{ units = 2 }, backward_layer = L.GRU{ units = 2 } })
  raises({ "return_sequences" }, L.Bidirectional,
    { layer = L.GRU{ units = 2 }, backward_layer = L.GRU{ units = 2, go_backwards = true, return_sequences = true } })
  raises({ "merge_mode", "'cat'" }, L.Bidirectional, { layer = L.GRU{ units = 2 }, merge_mode = "cat" })
  raises({ "at least 3 axes" }, L.TimeDistributed{ layer = L.Dense{ 5 } }, dl.ones{ 2, 3 })
end)

test("training learns, eagerly and compiled alike", function()
  local x, y = sequence(8, 6, 2), {}
  for row, steps in ipairs(x:totable()) do
    local sum = 0
    for _, step in ipairs(steps) do sum = sum + step[1] end
    y[row] = { sum / 6 }
  end
  y = dl.tensor(y)
  for _, name in ipairs{ "SimpleRNN", "GRU", "LSTM" } do
    dl.set_random_seed(3)
    local model = dl.Sequential{ L[name]{ units = 6, return_sequences = true }, L[name]{ units = 5 }, L.Dense{ 1 } }
    model:build{ false, 6, 2 }
    local start = model:get_weights()
    local losses = {}
    for place, eager in ipairs{ false, true } do
      model:set_weights(start)
      model:compile{ loss = "mse", optimizer = dl.optimizers.Adam{ learning_rate = 0.02 }, run_eagerly = eager }
      losses[place] = model:fit(x, y, { epochs = 8, batch_size = 8, shuffle = false, verbose = 0 }).history.loss
    end
    assert(losses[1][8] < losses[1][1], name)
    near(losses[1], losses[2], 1e-4)
  end
end)

test("dropout acts in training alone, alike at all steps", function()
  local x = dl.ones{ 4, 6, 3 }
  for _, name in ipairs{ "SimpleRNN", "GRU", "LSTM" } do
    local layer = L[name]{ units = 3, dropout = 0.5, recurrent_dropout = 0.5, seed = 4 }
    local quiet = layer(x):totable()
    near(layer(x):totable(), quiet, 0)
    local loud = layer(x, { training = true }):totable()
    local differs = false
    for row, values in ipairs(quiet) do
      for place, value in ipairs(values) do differs = differs or math.abs(loud[row][place] - value) > 1e-6 end
    end
    assert(differs, name)
    equal(L[name]{ units = 3, dropout = 1 }(x, { training = true }).shape, { 4, 3 })
  end
end)

test("Embedding, RepeatVector, Permute", function()
  local embedding = L.Embedding{ input_dim = 3, output_dim = 2, weights = { { 0, 0 }, { 1, 2 }, { 3, 4 } } }
  local ids = dl.tensor({ { 2, 1 } }, "int32")
  equal(embedding(ids):totable(), { { { 3, 4 }, { 1, 2 } } })
  equal(embedding:get_config().weights, nil)
  raises({ "position 3", "embedding" }, embedding, dl.tensor({ { 3 } }, "int32"))
  raises({ "position -1", "embedding" }, embedding, dl.tensor({ { -1 } }, "int32"))
  raises({ "weights", "3 rows of 2" }, L.Embedding, { input_dim = 3, output_dim = 2, weights = { { 1, 2 } } })
  raises({ "input_dim" }, L.Embedding, { input_dim = 0, output_dim = 2 })
  raises({ "output_dim" }, L.Embedding, { input_dim = 2 })
  equal(L.RepeatVector{ n = 2 }(dl.tensor{ { 1, 2 } }):totable(), { { { 1, 2 }, { 1, 2 } } })
  equal(L.Permute{ dims = { 2, 1 } }(dl.tensor{ { { 1, 2, 3 } } }):totable(), { { { 1 }, { 2 }, { 3 } } })
  raises({ "dims" }, L.Permute, { dims = { 1, 3 } })
  raises({ "3 axes" }, L.Permute{ dims = { 2, 1 } }, dl.ones{ 2, 3 })
  raises({ "2 axes" }, L.RepeatVector{ n = 2 }, dl.ones{ 2, 3, 4 })
end)

test("wrong input is refused in words", function()
  for _, name in ipairs{ "SimpleRNN", "GRU", "LSTM" } do
    raises({ name, "3 axes" }, L[name]{ units = 2 }, dl.ones{ 2, 3 })
    raises({ name, "at least one step" }, L[name]{ units = 2 }, dl.zeros{ 2, 0, 3 })
    raises({ "units" }, L[name], { units = 0 })
    raises({ "units" }, L[name], { units = -4 })
    raises({ "dropout" }, L[name], { units = 2, dropout = 1.5 })
    raises({ "unknown option 'return_sequence'", "did you mean 'return_sequences'" }, L[name],
      { units = 2, return_sequence = true })
    local layer = L[name]{ units = 2 }
    layer(dl.ones{ 2, 3, 4 })
    raises({ "built for 4 features" }, layer, dl.ones{ 2, 3, 5 })
    local three = { dl.ones{ 2, 2 }, dl.ones{ 2, 2 }, dl.ones{ 2, 2 } }
    raises({ "initial state" }, layer, dl.ones{ 2, 3, 4 }, { initial_state = three })
    local states = name == "LSTM" and { dl.ones{ 2, 3 }, dl.ones{ 2, 3 } } or { dl.ones{ 2, 3 } }
    raises({ "initial state must be (2, 2)" }, layer, dl.ones{ 2, 3, 4 }, { initial_state = states })
    raises({ "mask" }, layer, dl.ones{ 2, 3, 4 }, { mask = dl.ones{ 2, 4 } })
    -- Absurd sizes are refused before anything is allocated.
    raises({ "dl[E_" }, L[name]{ units = 2147483647 }, dl.ones{ 1, 2, 3 })
  end
  raises({ "Masking", "3 axes" }, L.Masking{}, dl.ones{ 2, 3 })
  raises({ "LSTMCell", "states" }, L.LSTMCell{ units = 3 }, { dl.ones{ 2, 3 }, dl.ones{ 2, 4 }, dl.ones{ 2, 3 } })
  raises({ "LSTMCell", "3 inputs" }, L.LSTMCell{ units = 3 }, { dl.ones{ 2, 3 } })
  raises({ "cells" }, L.StackedRNNCells, { cells = {} })
  raises({ "there is no layer class" }, L.from_json,
    '{"class_name": "RNN", "config": {"cell": {"class_name": "Sell", "config": {}}}}')
  raises({ "RNN" }, L.from_json, '{"class_name": "RNN", "config": {"cell": 3}}')
  raises({ "layer" }, L.from_json, '{"class_name": "TimeDistributed", "config": {}}')
end)

T.finish()
