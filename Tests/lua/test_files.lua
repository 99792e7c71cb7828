-- Files, data sets, data in memory, command lines.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

local function model()
  dl.set_random_seed(2)
  local m = dl.Sequential{ L.Input{ 3 }, L.Dense{ 4, activation = "relu", name = "a" }, L.Dense{ 2, name = "b" } }
  m:compile{ optimizer = "adam", loss = "mse", metrics = { "mae" } }
  return m
end

test("a model comes back as it was", function()
  local m, path = model(), T.temporary ".dlm"
  local x, y = dl.uniform(20, 3), dl.uniform(20, 2)
  m:fit(x, y, { verbose = 0 })
  equal(m:save(path), true)
  local copy = assert(dl.load_model(path))
  equal(copy:predict(x):totable(), m:predict(x):totable())
  near(copy:evaluate(x, y).loss, m:evaluate(x, y).loss)
  equal(m:save(path, { include_optimizer = true }), true)
  copy = assert(dl.load_model(path))
  local a = m:fit(x, y, { verbose = 0, shuffle = false }).loss[1]
  near(copy:fit(x, y, { verbose = 0, shuffle = false }).loss[1], a, 1e-6)
  os.remove(path)
end)

test("missing and damaged files give nil, message, code", function()
  local path = T.temporary ".dlm"
  local m, message, code = dl.load_model(path)
  equal(m, nil)
  assert(message:find(path, 1, true), message)
  equal(code, "E_NOT_FOUND")
  assert(model():save(path))
  local bytes = T.read(path)
  for _, length in ipairs{ 0, 4, 8, 20, #bytes // 2, #bytes - 1 } do
    T.write(path, bytes:sub(1, length))
    m, message, code = dl.load_model(path)
    equal(m, nil, "length " .. length)
    assert(type(message) == "string" and (code == "E_FORMAT" or code == "E_IO"), code)
  end
  T.write(path, ("\255"):rep(8) .. bytes:sub(9))
  equal(dl.load_model(path), nil)
  os.remove(path)
  raises("dl[E_ARGUMENT]", dl.load_model, 3)
  m, message = model():save "/nonexistent/folder/m.dlm"
  equal(m, nil)
  assert(type(message) == "string")
end)

test("weights", function()
  local m, other, path = model(), model(), T.temporary ".safetensors"
  other:set_weights{ dl.zeros(3, 4), dl.zeros(4), dl.zeros(4, 2), dl.zeros(2) }
  assert(m:save_weights(path))
  assert(other:load_weights(path))
  equal(other.weights[1]:totable(), m.weights[1]:totable())
  local small = dl.Sequential{ L.Input{ 3 }, L.Dense{ 5, name = "a" }, L.Dense{ 2, name = "b" } }
  local before = small.weights[1]:totable()
  local fine, result, message = pcall(small.load_weights, small, path)
  assert(not fine or result == nil and message)
  equal(small.weights[1]:totable(), before)
  os.remove(path)
end)

test("architecture as JSON", function()
  local m = model()
  local copy = dl.model_from_json(m:to_json())
  equal(copy:count_params(), m:count_params())
  raises("dl[E_", dl.model_from_json, "{}")
  raises("dl[E_", dl.model_from_json, "nonsense")
end)

test("tensors as NPY", function()
  local path, t = T.temporary ".npy", dl.tensor({ { 1, 2 }, { 3, 4 } }, "i64")
  assert(dl.save(path, t))
  local back = assert(dl.load(path))
  equal(back:totable(), t:totable())
  equal(back.dtype, "int64")
  T.write(path, T.read(path):sub(1, 50))
  local value, message, code = dl.load(path)
  equal(value, nil)
  assert(message and code == "E_FORMAT", code)
  os.remove(path)
  equal((dl.load(path)), nil)
end)

test("tables of numbers", function()
  local path = T.temporary ".csv"
  T.write(path, "a,b\n1,2\n3,4.5\n")
  local t, names = assert(dl.load(path, { header = true }))
  equal(t:totable(), { { 1, 2 }, { 3, 4.5 } })
  equal(names, { "a", "b" })
  equal(dl.load(path, { columns = { 2 } }):totable(), { { 2 }, { 4.5 } })
  equal(dl.load(path, { columns = { "b", 1 } }):totable(), { { 2, 1 }, { 4.5, 3 } })
  T.write(path, "1,2\n3\n")
  equal((dl.load(path)), nil)
  raises({ "unknown option 'heade'", "header" }, dl.load, path, { heade = true })
  os.remove(path)
end)

test("data that is not there", function()
  local set, message, code = dl.datasets.fashion_mnist{ path = "/nonexistent" }
  equal(set, nil)
  assert(message and code == "E_NOT_FOUND", code)
  raises({ "unknown option 'chanels'" }, dl.datasets.fashion_mnist, { chanels = true })
end)

test("Fashion-MNIST, where it is", function()
  local fm = dl.datasets.fashion_mnist{ channels = true }
  if not fm then return end
  equal(fm.train.x.shape, { 60000, 28, 28, 1 })
  equal(fm.test.x.shape, { 10000, 28, 28, 1 })
  equal(fm.train.x.dtype, "float32")
  equal(fm.train.y.dtype, "int32")
  equal(fm.train.y:min():item(), 1)
  equal(fm.train.y:max():item(), 10)
  near(fm.train.x:max():item(), 1)
  equal(#fm.class_names, 10)
  equal(fm.class_names[fm.train.y[1]:item()], "Ankle boot")
end)

test("drawn shapes", function()
  local set = dl.datasets.shapes{ n_train = 40, n_test = 10, channels = true }
  equal(set.train.x.shape, { 40, 28, 28, 1 })
  equal(#set.test, 10)
  equal(set.train.y:max():item(), 10)
  near(set.train.x:max():item() <= 1, true)
  local again = dl.datasets.shapes{ n_train = 40, n_test = 10, channels = true }
  equal(set.train.x[1]:totable(), again.train.x[1]:totable())
  raises({ "unknown option 'n_tran'", "n_train" }, dl.datasets.shapes, { n_tran = 40 })
  raises({ "there is no dl.datasets.shape", "did you mean 'shapes'" }, function() return dl.datasets.shape end)
end)

test("batches, splits, selections", function()
  local set = dl.datasets.from_tensors(dl.arange(10):reshape{ 10, 1 }, dl.tensor({ 1, 2, 1, 2, 1, 2, 1, 2, 1, 2 }, "i32"))
  local sizes, sum = {}, 0
  for step, x, y in set:batches{ size = 4 } do
    sizes[step] = { #x, #y }
    sum = sum + x:sum():item()
  end
  equal(sizes, { { 4, 4 }, { 4, 4 }, { 2, 2 } })
  equal(sum, 55)
  local function order(seed)
    local list = {}
    for _, x in set:batches{ size = 3, shuffle = true, seed = seed } do
      for _, value in ipairs(x:totable()) do list[#list + 1] = value[1] end
    end
    return list
  end
  equal(order(1), order(1))
  assert(table.concat(order(1), " ") ~= table.concat(order(2), " "))
  local sorted = order(3)
  table.sort(sorted)
  equal(sorted, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })
  local head, tail = set:split(7)
  equal({ #head, #tail }, { 7, 3 })
  equal(#set:split(0.5), 5)
  equal(set:select_classes({ 2 }, { per_class = 2 }).x:totable(), { { 2 }, { 4 } })
  equal(#set:take(99), 10)
  raises("dl[E_RANGE]", set.split, set, 10)
  raises("dl[E_ARGUMENT]", set.batches, set, { size = 0 })
  raises("dl[E_SHAPE]", dl.datasets.from_tensors, dl.ones(3, 1), dl.ones(2))
end)

test("blobs", function()
  local a = dl.datasets.make_blobs{ samples = 30, features = 4, classes = 3, seed = 1 }
  local b = dl.datasets.make_blobs{ samples = 30, features = 4, classes = 3, seed = 1 }
  equal(a.x.shape, { 30, 4 })
  equal(a.x:totable(), b.x:totable())
  equal(a.y:totable(), b.y:totable())
  raises("dl[E_ARGUMENT]", dl.datasets.make_blobs, { classes = 0 })
end)

test("to_categorical", function()
  equal(dl.utils.to_categorical({ 1, 3 }, 3):totable(), { { 1, 0, 0 }, { 0, 0, 1 } })
  equal(dl.utils.to_categorical(dl.tensor({ 0, 1 }, "i32"), { label_base = 0 }):totable(), { { 1, 0 }, { 0, 1 } })
  raises({ "dl[E_RANGE]", "label 4", "row 2", "1 to 3", "label_base = 0" }, dl.utils.to_categorical, { 1, 4 }, 3)
  raises("dl[E_RANGE]", dl.utils.to_categorical, { 0 }, 3)
end)

test("the confusion matrix", function()
  local cm = dl.metrics.ConfusionMatrix{ names = { "cat", "dog" } }
  cm:update({ 1, 2, 2 }, dl.tensor({ 1, 2, 1 }, "i32"))
  equal(cm:matrix():totable(), { { 1, 0 }, { 1, 1 } })
  near(cm:accuracy(), 2 / 3)
  near(cm:recall(2), 0.5)
  near(cm:precision(1), 0.5)
  assert(tostring(cm):find "cat" and tostring(cm):find "0.6667")
  cm:update({ 1 }, { { 0.1, 0.9 } })
  equal(cm:matrix():totable(), { { 1, 1 }, { 1, 1 } })
  raises({ "dl[E_RANGE]", "label 3", "position 1" }, cm.update, cm, { 3 }, { 1 })
  raises("dl[E_SHAPE]", cm.update, cm, { 1, 2 }, { 1 })
  raises("dl[E_ARGUMENT]", dl.metrics.ConfusionMatrix, {})
end)

test("command lines", function()
  local function cli(...)
    return dl.cli({ epochs = 5, lr = 1e-3, quick = false, loud = true, out = "m" }, { args = { ... } })
  end
  equal(cli(), { epochs = 5, lr = 1e-3, quick = false, loud = true, out = "m" })
  equal(cli("--epochs", "7", "--lr=0.5", "--quick", "--no-loud", "--out", "x", "rest"),
    { "rest", epochs = 7, lr = 0.5, quick = true, loud = false, out = "x" })
  raises({ "--epochs", "whole number", "'x'" }, cli, "--epochs", "x")
  raises({ "unknown option --epoch", "epochs" }, cli, "--epoch", "3")
  raises("needs a value", cli, "--out")
end)

test("texts about the library", function()
  assert(dl.info().version == dl.version)
  assert(#dl.list "layer" > 10)
  assert(tostring(dl):find "libdl")
  raises("dl[E_", dl.list, "fruit")
  equal((dl.describe("layer", "Nothing")), nil)
  raises({ "dl[E_NOT_FOUND]", "did you mean 'Dense'" }, dl.doc, "Dens")
  assert(dl.memory().bytes_in_use >= 0)
  local before = dl.get_num_threads()
  dl.set_num_threads(1)
  equal(dl.get_num_threads(), 1)
  dl.set_num_threads(before)
  raises("dl[E_ARGUMENT]", dl.set_num_threads, -1)
  raises("dl[E_ARGUMENT]", dl.set_random_seed, "x")
  local winograd = dl.get_winograd()
  dl.set_winograd(false)
  equal(dl.get_winograd(), false)
  dl.set_winograd(true)
  equal(dl.get_winograd(), true)
  dl.set_winograd(winograd)
  raises("dl[E_ARGUMENT]", dl.set_winograd, 0)
end)

test("parts can be required by themselves", function()
  assert(require "dl.layers" == dl.layers)
  assert(require "dl.ops" == dl.ops)
end)

T.finish()
