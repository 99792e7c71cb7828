-- Sequences of several lengths: what comes out, and what training learns, does not depend on how far they are padded.
-- Gradient descent on a large embedding, which touches the rows of the batch alone.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

local words = { { 4, 1, 3 }, { 2, 2 }, { 5 } }

-- The words as ids, padded with 0 to a length.
local function padded(length)
  local rows = {}
  for sample, row in ipairs(words) do
    rows[sample] = {}
    for step = 1, length do rows[sample][step] = row[step] or 0 end
  end
  return dl.tensor(rows, "i32")
end

local function network(body, length)
  local x = L.Input{ shape = { length or dl.None }, dtype = "i32" }
  return dl.Model{ inputs = x, outputs = body(L.Embedding{ 6, 4, mask_zero = true }(x)) }
end

local bodies = {
  SimpleRNN = function(h) return L.SimpleRNN{ 3 }(h) end,
  LSTM = function(h) return L.LSTM{ 3 }(h) end,
  GRU = function(h) return L.GRU{ 3 }(h) end,
  cells = function(h) return L.RNN{ L.LSTMCell{ 3, activation = "relu" } }(h) end,
  stacked = function(h) return L.GRU{ 3 }(L.LSTM{ 3, return_sequences = true }(h)) end,
  Bidirectional = function(h) return L.Bidirectional{ L.LSTM{ 3 } }(h) end,
  both_ways = function(h) return L.GRU{ 2 }(L.Bidirectional{ L.GRU{ 3, return_sequences = true } }(h)) end,
  mean = function(h) return L.GlobalAveragePooling1D()(h) end,
  Attention = function(h) return L.GlobalAveragePooling1D()(L.Attention()({ h, h })) end,
  MultiHeadAttention = function(h) return L.GlobalAveragePooling1D()(L.MultiHeadAttention{ 2, 3 }({ h, h })) end,
  distributed = function(h) return L.GRU{ 2 }(L.TimeDistributed{ L.Dense{ 3 } }(h)) end,
}

for name, body in pairs(bodies) do
  test("padding does not change " .. name, function()
    local short, long = network(body, 3), network(body, 7)
    long:set_weights(short:get_weights())
    near(long(padded(7)):totable(), short(padded(3)):totable(), 1e-6)
    -- A step of training neither.
    local y = dl.ones{ 3, short.output_shape[2] }
    for _, model in ipairs{ short, long } do model:compile{ optimizer = dl.optimizers.SGD{ 0.5 }, loss = "mse" } end
    near(long:train_on_batch(padded(7), y), short:train_on_batch(padded(3), y), 1e-5)
    local found = long:get_weights()
    for place, weight in ipairs(short:get_weights()) do near(found[place]:totable(), weight:totable(), 1e-5) end
  end)
end

test("losses of steps leave padding out", function()
  local function body(h) return L.Dense{ 1 }(L.LSTM{ 3, return_sequences = true }(h)) end
  local short, long = network(body, 3), network(body, 7)
  long:set_weights(short:get_weights())
  for _, model in ipairs{ short, long } do
    model:compile{ optimizer = dl.optimizers.SGD{ 0.5 }, loss = "mse", metrics = { "mae" } }
  end
  local a = short:evaluate(padded(3), dl.ones{ 3, 3, 1 }, { verbose = 0 })
  local b = long:evaluate(padded(7), dl.ones{ 3, 7, 1 }, { verbose = 0 })
  near(b, a, 1e-5)
end)

test("normalization over a batch leaves padding out", function()
  local function statistics(length)
    local x = dl.randn{ 1, 1, 1 } * 0 + dl.ones{ 2, length, 1 }
    local mask, layer = {}, L.BatchNormalization{ momentum = 0 }
    for sample = 1, 2 do
      mask[sample] = {}
      for step = 1, length do mask[sample][step] = step <= 3 end
    end
    layer(x * 5, { mask = dl.tensor(mask, "bool"), training = true })
    return layer:get_weights()[3]:totable()
  end
  near(statistics(8), statistics(3), 1e-6)
  near(statistics(4), { 5 }, 1e-5)
  local x, mask = dl.ones{ 2, 4, 3 }, dl.ones({ 2, 3 }, "bool")
  raises({ "dl[E_SHAPE]", "mask" }, L.BatchNormalization(), x, { mask = mask, training = true })
end)

test("gradient descent on a large embedding gives the same bits row by row", function()
  local ids = {}
  for place = 1, 60 do ids[place] = place % 4 == 0 and 7 or place * 37 % 3000 end
  local x, y = dl.tensor(ids, "i32"):reshape{ 6, 10 }, dl.ones{ 6, 2 }
  local weights = {}
  for place, eager in ipairs{ false, true } do
    dl.set_random_seed(5)
    local model = dl.Sequential{
      L.Input{ shape = { 10 }, dtype = "i32" }, L.Embedding{ 3000, 24 }, L.GlobalAveragePooling1D(), L.Dense{ 2 },
    }
    model:compile{ optimizer = dl.optimizers.SGD{ 0.3 }, loss = "mse", run_eagerly = eager }
    for _ = 1, 3 do model:train_on_batch(x, y) end
    weights[place] = model:get_weights()[1]
  end
  equal(dl.ops.max(dl.ops.abs(weights[1] - weights[2])):item(), 0.0)
end)

T.finish()
