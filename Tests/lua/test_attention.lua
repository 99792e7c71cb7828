-- Attention, einsum layers, and a small transformer that learns.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

test("attention to one of two values", function()
  local query = dl.tensor{ { { 100, 0 } } }
  local value = dl.tensor{ { { 1, 0 }, { 0, 1 } } }
  near(L.Attention(){ query, value }:totable(), { { { 1, 0 } } }, 1e-5)
  local y, weights = L.Attention()({ query, value }, { return_attention_scores = true })
  equal(y.shape, { 1, 1, 2 })
  near(weights:totable(), { { { 1, 0 } } }, 1e-5)
  -- The first value is masked.
  near(L.Attention()({ query, value }, { value_mask = dl.tensor{ { 0, 1 } } }):totable(), { { { 0, 1 } } }, 1e-5)
  equal(L.AdditiveAttention(){ dl.randn(2, 3, 4), dl.randn(2, 5, 4) }.shape, { 2, 3, 4 })
  raises({ "dl[E_ARGUMENT]", "query and value" }, L.Attention(), query)
  raises({ "dl[E_SHAPE]", "3 axes" }, L.Attention(), { dl.ones(2, 3), dl.ones(2, 3) })
  raises({ "dl[E_SHAPE]", "features" }, L.Attention(), { dl.ones(2, 3, 4), dl.ones(2, 3, 5) })
  raises({ "dl[E_SHAPE]", "batch" }, L.Attention(), { dl.ones(2, 3, 4), dl.ones(3, 3, 4) })
  raises({ "dl[E_ARGUMENT]", "did you mean 'use_causal_mask'" }, L.Attention(), { query, value }, { use_casual_mask = true })
  raises({ "dl[E_SHAPE]", "value_mask" }, L.Attention(), { query, value }, { value_mask = dl.ones(1, 1, 2) })
  raises({ "dl[E_SHAPE]", "spread" }, L.Attention(), { query, value }, { value_mask = dl.ones(1, 3) })
  raises({ "dl[E_ARGUMENT]", "score_mode" }, L.Attention, { score_mode = "sum" })
end)

test("several heads", function()
  local x = dl.randn(2, 5, 8)
  local attention = L.MultiHeadAttention{ num_heads = 2, key_dim = 3, value_dim = 4 }
  equal(attention{ x, x }.shape, { 2, 5, 8 })
  equal(#attention.weights, 8)
  equal(attention.weights[1].shape, { 8, 2, 3 })
  equal(attention.weights[2].shape, { 2, 3 })
  equal(attention.weights[7].shape, { 2, 4, 8 })
  -- What comes later does not matter with the causal mask.
  local y = attention({ x, x }, { use_causal_mask = true })
  local changed = dl.ops.concatenate({ x[{ {}, { 1, 3 } }], dl.randn(2, 2, 8) }, { axis = 2 })
  local z = attention({ changed, changed }, { use_causal_mask = true })
  near(z[{ {}, { 1, 3 } }]:totable(), y[{ {}, { 1, 3 } }]:totable(), 1e-5)
  local _, scores = attention({ x, x }, { return_attention_scores = true, use_causal_mask = true })
  equal(scores.shape, { 2, 2, 5, 5 })
  near(scores[{ 1, 1, 1, 1 }]:item(), 1, 1e-6)
  raises({ "dl[E_SHAPE]", "spread" }, attention, { x, x }, { attention_mask = dl.ones(3, 5, 5) })
  raises({ "dl[E_ARGUMENT]", "num_heads" }, L.MultiHeadAttention, { num_heads = 0, key_dim = 3 })
  raises({ "dl[E_ARGUMENT]", "key_dim" }, L.MultiHeadAttention, { num_heads = 1 })
  raises({ "dl[E_ARGUMENT]", "output_shape" }, L.MultiHeadAttention, { num_heads = 1, key_dim = 3, output_shape = { 0 } })
  raises({ "dl[E_SHAPE]", "equally many axes" }, attention, { x, dl.ones(2, 8) })
  raises({ "dl[E_SHAPE]" }, attention, { dl.ones(2, 5, 7), x })
  raises("dl[E_SHAPE]", L.MultiHeadAttention{ num_heads = 1, key_dim = 3, attention_axes = 3 }, { x, x })
  raises("dl[E_", L.MultiHeadAttention{ num_heads = 65536, key_dim = 2147483647 }, { x, x })
  raises({ "dl[E_ARGUMENT]", "multiple" }, L.GroupQueryAttention, { head_dim = 2, num_query_heads = 3, num_key_value_heads = 2 })
  equal(L.GroupQueryAttention{ head_dim = 2, num_query_heads = 4, num_key_value_heads = 2 }{ x, x }.shape, { 2, 5, 8 })
end)

test("masks and flags of a call are kept in models", function()
  local q, v = L.Input{ shape = { 4, 6 } }, L.Input{ shape = { 5, 6 } }
  local mask = L.Input{ shape = { 4, 5 }, dtype = "bool" }
  local y = L.MultiHeadAttention{ num_heads = 2, key_dim = 3, name = "mha" }({ q, v }, { attention_mask = mask })
  local z = L.Attention{ name = "a" }({ y, y }, { use_causal_mask = true })
  local model = dl.Model{ inputs = { q, v, mask }, outputs = z }
  local copy = dl.model_from_json(model:to_json())
  copy:set_weights(model:get_weights())
  local data = { dl.randn(3, 4, 6), dl.randn(3, 5, 6), dl.ops.greater(dl.randn(3, 4, 5), 0) }
  near(copy:predict(data):totable(), model:predict(data):totable(), 1e-6)
  assert(model:to_json():find('"use_causal_mask"', 1, true))
  assert(model:to_json():find('"attention_mask"', 1, true))
  -- Keras's manner: what a call takes by position may come by name.
  local keras = [==[{"class_name": "Functional", "config": {"name": "m", "layers": [
    {"class_name": "InputLayer", "name": "x", "config": {"batch_shape": [null, 4, 6], "dtype": "float32", "name": "x"},
      "inbound_nodes": []},
    {"class_name": "MultiHeadAttention", "name": "h", "config": {"num_heads": 1, "key_dim": 2, "name": "h"}, "inbound_nodes": [
      {"args": [], "kwargs": {"query": T, "value": T, "key": null, "use_causal_mask": true, "query_mask": null}}]}],
    "input_layers": [["x", 0, 0]], "output_layers": [["h", 0, 0]]}}]==]
  keras = keras:gsub("T", [==[{"class_name": "__keras_tensor__",
    "config": {"shape": [null, 4, 6], "dtype": "float32", "keras_history": ["x", 0, 0]}}]==])
  equal(dl.model_from_json(keras):predict(dl.randn(2, 4, 6)).shape, { 2, 4, 6 })
  raises("dl[E_", dl.model_from_json, (keras:gsub("use_causal_mask", "use_casual_mask")))
  raises("dl[E_", dl.model_from_json, (keras:gsub('"key": null', '"attention_mask": ["x"]')))
end)

test("einsum layers", function()
  local layer = L.EinsumDense{ "abc,cde->abde", output_shape = { dl.None or false, 2, 4 }, bias_axes = "de" }
  equal(layer(dl.ones(3, 5, 6)).shape, { 3, 5, 2, 4 })
  equal(layer.kernel.shape, { 6, 2, 4 })
  raises({ "dl[E_ARGUMENT]", "equation" }, L.EinsumDense, { "abc", output_shape = 3 })
  raises({ "dl[E_ARGUMENT]", "equation" }, L.EinsumDense, { "aab,bc->ac", output_shape = 3 })
  raises({ "dl[E_ARGUMENT]", "equation" }, L.EinsumDense, { "ab,bc->ad", output_shape = 3 })
  raises({ "dl[E_ARGUMENT]", "equation" }, L.EinsumDense, { "ab,bcd->ac", output_shape = 3 })
  raises({ "dl[E_ARGUMENT]", "bias_axes" }, L.EinsumDense, { "ab,bc->ac", output_shape = 3, bias_axes = "z" })
  raises({ "dl[E_SHAPE]", "output_shape" }, L.EinsumDense{ "ab,bc->ac", output_shape = { 3, 4 } }, dl.ones(2, 2))
  raises({ "dl[E_SHAPE]" }, L.EinsumDense{ "ab,bc->ac", output_shape = 3 }, dl.ones(2, 2, 2))
  raises({ "dl[E_SHAPE]" }, layer, dl.ones(3, 5, 7))
  raises("dl[E_", L.EinsumDense{ "ab,bc->ac", output_shape = 2147483647 }, dl.zeros(1, 2147483))
end)

test("softmax with a mask", function()
  local x = dl.tensor{ { 1, 1, 5 } }
  near(L.Softmax()(x, { mask = dl.tensor{ { 1, 1, 0 } } }):totable(), { { 0.5, 0.5, 0 } }, 1e-6)
  near(L.Softmax()(x, { mask = dl.tensor{ { 0, 0, 0 } } }):totable(), { { 0, 0, 0 } }, 1e-6)
  near(dl.ops.sum(L.Softmax{ axis = { 2, 3 } }(dl.randn(2, 3, 4))):item(), 2, 1e-5)
  raises({ "dl[E_SHAPE]", "spread" }, L.Softmax(), x, { mask = dl.ones(1, 2) })
end)

-- Whether the first and the last of five tokens are alike: a question that attention answers and a sum does not.
test("a small transformer learns", function()
  dl.set_random_seed(7)
  local count, length, kinds, width = 256, 5, 3, 16
  local tokens, labels, state = {}, {}, 12345
  for n = 1, count do
    tokens[n] = {}
    for place = 1, length do
      state = (1103515245 * state + 12345) % 2147483648
      tokens[n][place] = (state // 65536) % kinds + 1
    end
    labels[n] = { tokens[n][1] == tokens[n][length] and 1 or 0 }
  end
  local x, y = dl.tensor(tokens, "i32"), dl.tensor(labels)
  local places = {}
  for n = 1, count do places[n] = { 1, 2, 3, 4, 5 } end
  local positions = dl.tensor(places, "i32")

  local words = L.Input{ shape = { length }, dtype = "int32" }
  local order = L.Input{ shape = { length }, dtype = "int32" }
  -- Id 0 is left for padding, in the tokens and in the places.
  local h = L.add{ L.Embedding{ kinds + 1, width }(words), L.Embedding{ length + 1, width }(order) }
  local attended = L.MultiHeadAttention{ num_heads = 2, key_dim = 8 }{ h, h }
  h = L.LayerNormalization()(L.add{ h, attended })
  local forward = L.Dense{ width }(L.Dense{ 32, activation = "relu" }(h))
  h = L.LayerNormalization()(L.add{ h, forward })
  local output = L.Dense{ 1, activation = "sigmoid" }(L.Flatten()(h))
  local model = dl.Model{ inputs = { words, order }, outputs = output }
  model:compile{ optimizer = dl.optimizers.Adam{ 0.01 }, loss = "binary_crossentropy", metrics = { "accuracy" } }
  local history = model:fit({ x, positions }, y, { epochs = 30, batch_size = 32, verbose = 0 })
  local accuracy = history.history and history.history.accuracy or history.accuracy
  assert(accuracy[#accuracy] > 0.97, accuracy[#accuracy])
end)

test("padding does not change what attention finds", function()
  local embedding = L.Embedding{ 10, 6, mask_zero = true }
  local attention = L.MultiHeadAttention{ num_heads = 2, key_dim = 3 }
  local short, long = dl.tensor({ { 3, 5, 2 } }, "i32"), dl.tensor({ { 3, 5, 2, 0, 0 } }, "i32")
  local a, b = embedding(short), embedding(long)
  local y = attention{ a, a }
  near(attention{ b, b }[{ {}, { 1, 3 } }]:totable(), y:totable(), 1e-5)
  local luong = L.Attention()
  near(luong{ b, b }[{ {}, { 1, 3 } }]:totable(), luong{ a, a }:totable(), 1e-5)
end)

T.finish()
