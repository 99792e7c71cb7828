-- A small transformer encoder (Vaswani et al., 2017) that learns to turn a sequence round: every place has to look at its
-- mirror image.   dlua transformer.lua [epochs]

local dl = require "dl"
local L, ops = dl.layers, dl.ops

dl.set_random_seed(1)
local symbols, length, width, count = 10, 8, 32, 4096

local x = dl.random.randint({ count, length }, 0, symbols)
local y = ops.flip(x, 2) + 1        -- labels count from 1

local tokens = L.Input{ shape = { length }, dtype = "int32" }
local places = L.Input{ shape = { length }, dtype = "int32" }
local h = L.Add{}{ L.Embedding{ symbols, width }(tokens), L.Embedding{ length, width }(places) }
local attention = L.MultiHeadAttention{ num_heads = 2, key_dim = 16, name = "attention" }
h = L.LayerNormalization{}(L.Add{}{ h, attention{ h, h } })
local inner = L.Dense{ width }(L.Dense{ 2 * width, activation = "gelu" }(h))
h = L.LayerNormalization{}(L.Add{}{ h, inner })
local answers = L.Dense{ symbols, activation = "softmax" }(h)
local model = dl.Model{ inputs = { tokens, places }, outputs = answers, name = "transformer" }

local place = ops.tile(ops.reshape(ops.arange(0, length, 1, { dtype = "int32" }), { 1, length }), { count, 1 })
model:compile{
  optimizer = dl.optimizers.AdamW{ learning_rate = 3e-3 }, loss = "sparse_categorical_crossentropy", metrics = { "accuracy" },
}
model:summary()
model:fit{ { x, place }, y, epochs = tonumber(arg[1]) or 4, batch_size = 64, validation_split = 0.125 }

local probe = model:predict{ x:slice{ { 1, 1 } }, place:slice{ { 1, 1 } } }
print("in  ", table.concat(x:slice{ { 1, 1 } }:totable()[1], " "))
local answer = (ops.argmax(probe, 3) - 1):totable()[1]
print("out ", table.concat(answer, " "))
