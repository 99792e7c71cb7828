-- Sequences of different lengths: which symbol came first? The mask goes from the embedding through a GRU in both directions
-- to the loss, so that the padding behind a sequence changes nothing.   dlua sequences.lua [epochs]

local dl = require "dl"
local L, ops = dl.layers, dl.ops

dl.set_random_seed(2)
local symbols, longest, count = 8, 20, 2000

-- 0 is padding; the answer is the first symbol, counted from 1.
local function sequences(n)
  local x, y = {}, {}
  for i = 1, n do
    local row, length = {}, math.random(4, longest)
    for t = 1, longest do row[t] = t <= length and math.random(1, symbols) or 0 end
    x[i], y[i] = row, row[1]
  end
  return dl.tensor(x, "int32"), dl.tensor(y, "int32")
end
math.randomseed(5)
local x, y = sequences(count)

local model = dl.Sequential{
  L.Input{ shape = { dl.None }, dtype = "int32" },
  L.Embedding{ symbols + 1, 16, mask_zero = true },
  L.Bidirectional{ L.GRU{ 24 } },
  L.Dense{ symbols, activation = "softmax" },
}
model:compile{
  optimizer = dl.optimizers.Adam{ learning_rate = 0.01 }, loss = "sparse_categorical_crossentropy", metrics = { "accuracy" },
}
model:summary()
model:fit{ x, y, epochs = tonumber(arg[1]) or 4, validation_split = 0.2 }

-- The same sequence with less padding has the same answer.
local long  = model:predict(x:slice{ { 1, 1 } })
local row, length = x:slice{ { 1, 1 } }:totable()[1], 0
for t = 1, longest do if row[t] ~= 0 then length = t end end
local short = model(x:slice{ { 1, 1 }, { 1, length } })
print(("%d of %d steps: largest difference %.1e"):format(length, longest, ops.max(ops.abs(long - short)):item()))
