-- Data sets by batches: written by scripts, and out of folders; files of other places.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, utils = dl.layers, dl.utils

local function folder(files)
  local path = T.temporary()
  local made = { [path] = true }
  assert(os.execute(("mkdir -p '%s'"):format(path)))
  for name, contents in pairs(files) do
    local parent = path .. "/" .. (name:match "^(.*)/" or "")
    if not made[parent] then
      assert(os.execute(("mkdir -p '%s'"):format(parent)))
      made[parent] = true
    end
    if type(contents) == "string" then
      T.write(path .. "/" .. name, contents)
    else
      assert(utils.save_img(path .. "/" .. name, contents, { scale = false }))
    end
  end
  return setmetatable({ path = path }, { __close = function() os.execute(("rm -rf '%s'"):format(path)) end })
end

local function flat(value) return dl.full({ 4, 6, 3 }, value, "u8") end

local Points = utils.PyDataset:extend("Points", {
  init = function(self) self.calls, self.begun, self.ended = {}, 0, 0 end,
  num_batches = function(self) return self.count or 4 end,
  get = function(self, index)
    self.calls[#self.calls + 1] = index
    local x = dl.random.uniform({ self.size or 8, 2 }, { seed = index })
    return x, x:sum(2, { keepdims = true }) * 3
  end,
  on_epoch_begin = function(self) self.begun = self.begun + 1 end,
  on_epoch_end = function(self) self.ended = self.ended + 1 end,
})

local function line()
  local model = dl.Sequential{ L.Input{ 2 }, L.Dense{ 1, kernel_initializer = "zeros" } }
  model:compile{ optimizer = dl.optimizers.SGD{ 0.1 }, loss = "mse", metrics = { "mae" } }
  return model
end

test("fit takes data sets by batches, and gives what the same tensors give", function()
  local set, other = Points{}, Points{}
  equal({ #set, tostring(set) }, { 4, "Points of 4 batches" })
  local x, y = other:load()
  equal({ x.shape, y.shape }, { { 32, 2 }, { 32, 1 } })
  local a, b = line(), line()
  local one = a:fit(set, { epochs = 3, verbose = 0, shuffle = false, validation_data = other })
  local two = b:fit(x, y, { epochs = 3, batch_size = 8, verbose = 0, shuffle = false, validation_data = { x, y } })
  for _, name in ipairs{ "loss", "mae", "val_loss", "val_mae" } do near(one[name], two[name], 1e-6) end
  near(a:get_weights()[1]:totable(), b:get_weights()[1]:totable(), 1e-6)
  equal({ set.begun, set.ended }, { 3, 3 })
  equal(set.calls, { 1, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4 })
  near(a:evaluate(other).loss, b:evaluate(x, y).loss, 1e-6)
  near(a:evaluate(other).mae, b:evaluate(x, y, { batch_size = 8 }).mae, 1e-6)
  near(a:predict(other):totable(), b:predict(x):totable(), 1e-6)
  local steps = 0
  for step in a:fit_iter{ x = set, epochs = 2 } do steps = step end
  equal(steps, 8)
end)

test("shuffled, the batches come in another order each epoch; with fewer steps an epoch goes on", function()
  local set = Points{ count = 6 }
  line():fit(set, { epochs = 2, verbose = 0, seed = 5 })
  local first, second = table.move(set.calls, 2, 7, 1, {}), table.move(set.calls, 8, 13, 1, {})
  assert(table.concat(first, " ") ~= table.concat(second, " "))
  table.sort(first)
  table.sort(second)
  equal({ first, second }, { { 1, 2, 3, 4, 5, 6 }, { 1, 2, 3, 4, 5, 6 } })
  set = Points{}
  line():fit(set, { epochs = 3, steps_per_epoch = 3, verbose = 0, shuffle = false })
  equal(set.calls, { 1, 1, 2, 3, 4, 1, 2, 3, 4, 1 })
end)

test("validation by batches is seen by callbacks, and lasts as many steps as asked for", function()
  local set, held = Points{ count = 2 }, Points{ count = 5 }
  local history = line():fit(set, { epochs = 4, verbose = 0, validation_data = held, validation_steps = 2,
    callbacks = { dl.callbacks.EarlyStopping{ monitor = "val_loss", min_delta = 1e9, patience = 1 } } })
  equal(held.calls, { 1, 1, 2, 1, 2 })
  equal(#history.val_loss, 2)
  local begun = 0
  for _ in line():fit_iter(set, { epochs = 2, validation_data = held }) do begun = begun + 1 end
  equal(begun, 4)
end)

test("maps, loops, callbacks, class weights", function()
  local set = Points{}:map(function(x, y) return x * 2, y end)
  local count = 0
  for step, x, y in set:batches() do
    count = step
    equal({ x.shape, y.shape }, { { 8, 2 }, { 8, 1 } })
  end
  equal(count, 4)
  local stops = 0
  line():fit(set, { epochs = 50, verbose = 0, callbacks = {
    dl.callbacks.EarlyStopping{ monitor = "loss", patience = 1, min_delta = 1e9 },
    { on_train_batch_end = function() stops = stops + 1 end },
  } })
  equal(stops, 8)
  local Classes = utils.PyDataset:extend("Classes", {
    num_batches = function() return 2 end,
    get = function(_, index) return dl.full({ 4, 2 }, index), dl.tensor({ 1, 2, 1, 2 }, "i32"), dl.tensor{ 1, 1, 0, 1 } end,
  })
  local model = dl.Sequential{ L.Input{ 2 }, L.Dense{ 2, activation = "softmax" } }
  model:compile{ optimizer = "sgd", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
  local history = model:fit(Classes(), { verbose = 0, class_weight = { 1.0, 2.0 } })
  assert(history.accuracy[1] >= 0)
end)

test("data sets that are wrong", function()
  raises({ "dl[E_ARGUMENT]", "derived from" }, utils.PyDataset)
  raises({ "dl[E_ARGUMENT]", "identifier" }, utils.Sequence.extend, utils.Sequence, "a b", {})
  local None = utils.PyDataset:extend("None", {})
  raises({ "dl[E_ARGUMENT]", "None needs a function 'num_batches'" }, line().fit, line(), None())
  local Empty = utils.PyDataset:extend("Empty", { num_batches = function() return 0 end })
  raises({ "dl[E_ARGUMENT]", "above 0" }, line().fit, line(), Empty())
  local Bad = utils.PyDataset:extend("Bad", { num_batches = function() return 2 end, get = function(_, i)
    return dl.ones(4, i + 1), dl.ones(4, 1)
  end })
  raises({ "dl[E_SHAPE]" }, line().fit, line(), Bad(), { verbose = 0, shuffle = false })
  local Less = utils.PyDataset:extend("Less", {
    num_batches = function() return 2 end, get = function() return dl.ones(4, 2) end,
  })
  raises({ "dl[E_ARGUMENT]" }, line().fit, line(), Less(), { verbose = 0 })
  local Broken = utils.PyDataset:extend("Broken", { num_batches = function() return 2 end, get = function() error "no disk" end })
  raises({ "no disk" }, line().fit, line(), Broken(), { verbose = 0 })
  raises({ "dl[E_ARGUMENT]", "batch_size" }, line().fit, line(), Points{}, { batch_size = 4 })
  raises({ "dl[E_ARGUMENT]", "batch_size" }, line().evaluate, line(), { x = Points{}, batch_size = 4 })
  raises({ "dl[E_ARGUMENT]", "its own y" }, line().evaluate, line(), Points{}, dl.ones(4, 1))
  raises({ "dl[E_ARGUMENT]", "'y'" }, line().fit, line(), { x = Points{}, y = dl.ones(4, 1) })
end)

test("image_dataset_from_directory", function()
  local files = { ["b/1.png"] = flat(10), ["b/deep/2.ppm"] = flat(20), ["b/x.txt"] = "no picture", ["a/z.png"] = flat(30),
    ["a/y.jpg"] = flat(40), ["a/B.PNG"] = flat(50), [".hidden/1.png"] = flat(1) }
  local made <close> = folder(files)
  local set = assert(utils.image_dataset_from_directory(made.path, { image_size = { 8, 6 }, batch_size = 2, shuffle = false }))
  equal(set.class_names, { "a", "b" })
  equal(#set, 3)
  local names = {}
  for place, path in ipairs(set.file_paths) do names[place] = path:sub(#made.path + 2) end
  equal(names, { "a/B.PNG", "a/y.jpg", "a/z.png", "b/1.png", "b/deep/2.ppm" })
  local x, y = set:get(3)
  equal({ x.shape, x.dtype, y:totable() }, { { 1, 8, 6, 3 }, "float32", { 2 } })
  equal(x:max():item(), 20)
  local all, labels = set:load()
  equal({ all.shape, labels:totable() }, { { 5, 8, 6, 3 }, { 1, 1, 1, 2, 2 } })
  near(all:max{ axis = { 2, 3, 4 } }:totable(), { 50, 40, 30, 10, 20 }, 0.05)

  local function labels_of(options)
    options.shuffle, options.image_size = false, 4
    local _, found = assert(utils.image_dataset_from_directory(made.path, options)):load()
    return found and found:totable()
  end
  equal(labels_of{ label_base = 0 }, { 0, 0, 0, 1, 1 })
  equal(labels_of{ label_mode = "binary" }, { { 0 }, { 0 }, { 0 }, { 1 }, { 1 } })
  equal(labels_of{ label_mode = "categorical", class_names = { "b", "a" } }, {
    { 1, 0 }, { 1, 0 }, { 0, 1 }, { 0, 1 }, { 0, 1 } })
  equal(labels_of{ class_names = { "b" } }, { 1, 1 })
  equal(labels_of{ labels = false }, nil)
  equal(labels_of{ labels = { 3, 1, 2, 2, 1, 3 } }, { 3, 1, 2, 2, 1, 3 })
  local first = utils.image_dataset_from_directory(made.path, { image_size = 3, color_mode = "grayscale",
    data_format = "channels_first", crop_to_aspect_ratio = true })
  equal(first:get(1).shape, { 5, 1, 3, 3 })

  local split = { image_size = 4, validation_split = 0.4, subset = "both", seed = 3 }
  local train, held = utils.image_dataset_from_directory(made.path, split)
  equal({ #train.file_paths, #held.file_paths }, { 3, 2 })
  local seen = {}
  for _, part in ipairs{ train, held } do
    for _, path in ipairs(part.file_paths) do seen[path] = (seen[path] or 0) + 1 end
  end
  for _, times in pairs(seen) do equal(times, 1) end
  split.subset = "validation"
  local again = utils.image_dataset_from_directory(made.path, split)
  equal(again.file_paths, held.file_paths)
  -- Labels stay with their files when an epoch brings another order.
  for _ = 1, 3 do
    train:on_epoch_end()
    for place, path in ipairs(train.file_paths) do
      equal(train.labels[place], path:find("/a/", 1, true) and 0 or 1)
    end
  end

  local model = dl.Sequential{ L.Input{ 4, 4, 3 }, L.Rescaling{ 1 / 255 }, L.Flatten(), L.Dense{ 2, activation = "softmax" } }
  model:compile{ optimizer = "sgd", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
  model:fit(train, { epochs = 2, verbose = 0, validation_data = held })
  equal(model:predict(held).shape, { 2, 2 })
end)

test("folders that are wrong", function()
  local made <close> = folder{ ["a/1.png"] = flat(1), ["b/2.png"] = "\x89PNG\r\n\x1a\n broken", ["c/3.png"] = flat(3) }
  local read = utils.image_dataset_from_directory
  local set, message, code = read(made.path .. "/none")
  equal({ set, code }, { nil, "E_NOT_FOUND" })
  assert(message:find("/none", 1, true), message)
  set, message, code = read(made.path .. "/a")
  equal({ set, code }, { nil, "E_NOT_FOUND" })
  assert(message:find("no files that end in bmp, jpeg", 1, true), message)
  set = read(made.path, { image_size = 2 })
  raises({ "dl[E_FORMAT]", "2.png", "PNG: " }, set.get, set, 1)
  raises({ "dl[E_RANGE]", "from 1 to 1" }, set.get, set, 2)
  raises({ "dl[E_ARGUMENT]", "two classes, there are 3" }, read, made.path, { label_mode = "binary" })
  raises({ "dl[E_ARGUMENT]", "class_names", "did you mean" }, read, made.path, { class_names = { "aa" } })
  raises({ "dl[E_ARGUMENT]", "2 labels for 3 files" }, read, made.path, { labels = { 1, 2 } })
  raises({ "dl[E_RANGE]", "label 1" }, read, made.path, { labels = { 0, 1, 2 } })
  raises({ "dl[E_RANGE]" }, read, made.path, { labels = { 1, 1 << 60, 2 } })
  raises({ "dl[E_ARGUMENT]", "seed" }, read, made.path, { validation_split = 0.5, subset = "training" })
  raises({ "dl[E_ARGUMENT]", "together" }, read, made.path, { validation_split = 0.5 })
  raises({ "dl[E_ARGUMENT]", "between 0 and 1" }, read, made.path, { validation_split = 1, subset = "both", seed = 1 })
  raises({ "dl[E_ARGUMENT]", "without any" }, read, made.path, { validation_split = 0.1, subset = "both", seed = 1 })
  raises({ "dl[E_ARGUMENT]", "did you mean 'both'" }, read, made.path, { validation_split = 0.5, subset = "boht", seed = 1 })
  raises({ "dl[E_ARGUMENT]", "interpolation" }, read, made.path, { interpolation = "area" })
  raises({ "dl[E_ARGUMENT]", "image_size" }, read, made.path, { image_size = { 0, 1 } })
  raises({ "dl[E_ARGUMENT]", "label_mode" }, read, made.path, { label_mode = "integer" })
  raises({ "dl[E_ARGUMENT]", "batch_size" }, read, made.path, { batch_size = 0 })
  raises({ "dl[E_ARGUMENT]", "name of a folder" }, read)
end)

test("text_dataset_from_directory", function()
  local made <close> = folder{ ["bad/1.txt"] = "awful", ["good/2.txt"] = "splendid", ["good/3.txt"] = "", ["good/4.md"] = "x" }
  local set = assert(dl.preprocessing.text_dataset_from_directory(made.path, { shuffle = false, batch_size = 2, max_length = 6 }))
  local texts, y = set:get(1)
  equal({ texts, y:totable() }, { { "awful", "splend" }, { 1, 2 } })
  equal((set:get(2)), { "" })
  local lengths = set:map(function(list, labels)
    local counts = {}
    for place, text in ipairs(list) do counts[place] = { #text } end
    return dl.tensor(counts, "f32"), labels
  end)
  equal(lengths:load():totable(), { { 5 }, { 6 }, { 0 } })
  raises({ "dl[E_ARGUMENT]", "must return tensors" }, set.load, set)
  raises({ "dl[E_ARGUMENT]", "max_length" }, utils.text_dataset_from_directory, made.path, { max_length = 0 })
end)

test("get_file looks into the cache and says where to put what is not there", function()
  local made <close> = folder{ ["datasets/a.csv"] = "abc", ["datasets/pack_extracted/x"] = "", ["other/b"] = "" }
  local origin = "https://example.org/files/a.csv?raw=1"
  local cached = { cache_dir = made.path }
  equal(utils.get_file("a.csv", origin, { cache_dir = made.path }), made.path .. "/datasets/a.csv")
  equal(utils.get_file{ origin = origin, cache_dir = made.path }, made.path .. "/datasets/a.csv")
  equal(utils.get_file("b", nil, { cache_dir = made.path, cache_subdir = "other" }), made.path .. "/other/b")
  equal(utils.get_file("b", nil, { cache_subdir = made.path .. "/other" }), made.path .. "/other/b")
  equal(utils.get_file("a.csv", origin, { cache_dir = made.path,
    file_hash = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD" }), made.path .. "/datasets/a.csv")
  equal(utils.get_file("a.csv", origin, { cache_dir = made.path, md5_hash = "900150983cd24fb0d6963f7d28e17f72" }),
    made.path .. "/datasets/a.csv")
  local path, message, code = utils.get_file("a.csv", origin, { cache_dir = made.path, file_hash = ("0"):rep(64) })
  equal({ path, code }, { nil, "E_FORMAT" })
  assert(message:find("incomplete or another file", 1, true), message)
  path, message, code = utils.get_file("c.csv", "https://example.org/c.csv", cached)
  equal({ path, code }, { nil, "E_NOT_FOUND" })
  assert(message:find(made.path .. "/datasets/c.csv", 1, true) and message:find("https://example.org/c.csv", 1, true), message)
  equal(utils.get_file("pack.tgz", origin, { cache_dir = made.path, extract = true }), made.path .. "/datasets/pack_extracted")
  path, message = utils.get_file("none", origin, { cache_dir = made.path, extract = true })
  equal(path, nil)
  assert(message:find("Unpack", 1, true), message)
  raises({ "dl[E_UNSUPPORTED]", "does not download" }, utils.get_file, "a", origin, { force_download = true })
  raises({ "dl[E_ARGUMENT]", "without folders" }, utils.get_file, "../a")
  raises({ "dl[E_ARGUMENT]", "without folders" }, utils.get_file, nil, "https://example.org/")
  raises({ "dl[E_ARGUMENT]", "algorithm" }, utils.get_file, "a.csv", origin, { cache_dir = made.path, file_hash = "1",
    hash_algorithm = "crc" })
end)

test("tables, and folders by another name", function()
  local made <close> = folder{ ["a.csv"] = "width,price,height\n1,10,2\n3,30,4\n", ["p/1.png"] = flat(1), ["q/2.txt"] = "text" }
  local set = assert(dl.datasets.csv(made.path .. "/a.csv", { target = "price" }))
  equal({ set.x:totable(), set.y:totable(), set.column_names }, { { { 1, 2 }, { 3, 4 } }, { 10, 30 }, { "width", "height" } })
  equal(dl.datasets.csv(made.path .. "/a.csv").y:totable(), { 2, 4 })
  equal(dl.datasets.csv(made.path .. "/a.csv", { target = 1 }).y:totable(), { 1, 3 })
  equal((dl.datasets.csv(made.path .. "/none.csv")), nil)
  raises({ "dl[E_ARGUMENT]", "did you mean 'price'" }, dl.datasets.csv, made.path .. "/a.csv", { target = "prise" })
  raises({ "dl[E_ARGUMENT]", "target" }, dl.datasets.csv, made.path .. "/a.csv", { target = 4 })
  equal(dl.datasets.image_folder(made.path, { image_size = 2 }):get(1).shape, { 1, 2, 2, 3 })
  equal((dl.datasets.text_folder(made.path):get(1)), { "text" })
end)

test("cifar10 and cifar100 in their binary version", function()
  local function records(labels, count, first)
    local parts = {}
    for place = 1, count do
      parts[#parts + 1] = string.char(table.unpack(labels(place)))
      for channel = 1, 3 do parts[#parts + 1] = string.char((first + place * 10 + channel) % 256):rep(1024) end
    end
    return table.concat(parts)
  end
  local files = { ["cifar-100-binary/train.bin"] = records(function(i) return { i, 90 + i } end, 3, 0),
    ["cifar-100-binary/test.bin"] = records(function() return { 19, 0 } end, 1, 100) }
  for part = 1, 5 do
    files[("ten/data_batch_%d.bin"):format(part)] = records(function(i) return { i + part } end, 2, part)
  end
  files["ten/test_batch.bin"] = records(function() return { 9 } end, 1, 50)
  local made <close> = folder(files)
  local set = assert(dl.datasets.cifar10{ path = made.path .. "/ten" })
  equal({ set.train.x.shape, set.test.x.shape }, { { 10, 32, 32, 3 }, { 1, 32, 32, 3 } })
  equal(set.train.y:totable(), { 3, 4, 4, 5, 5, 6, 6, 7, 7, 8 })
  near(set.train.x[2][5][7]:totable(), { 22 / 255, 23 / 255, 24 / 255 })
  equal(set.class_names[10], "truck")
  set = assert(dl.datasets.cifar100{ path = made.path })
  equal({ set.train.y:totable(), set.test.y:totable() }, { { 92, 93, 94 }, { 1 } })
  set = assert(dl.datasets.cifar100{ path = made.path, label_mode = "coarse", label_base = 0 })
  equal({ set.train.y:totable(), set.test.y:totable() }, { { 1, 2, 3 }, { 19 } })
  local none, message, code = dl.datasets.cifar10{ path = made.path }
  equal({ none, code }, { nil, "E_NOT_FOUND" })
  assert(message:find("binary version", 1, true), message)
  T.write(made.path .. "/ten/data_batch_3.bin", "short")
  none, message, code = dl.datasets.cifar10{ path = made.path .. "/ten" }
  equal({ none, code }, { nil, "E_FORMAT" })
  assert(message:find("records of 3073 bytes", 1, true), message)
  T.write(made.path .. "/ten/data_batch_3.bin", records(function() return { 10 } end, 1, 0))
  none, message, code = dl.datasets.cifar10{ path = made.path .. "/ten" }
  equal({ none, code }, { nil, "E_FORMAT" })
  assert(message:find("label 10 at byte 0 of data_batch_3.bin", 1, true), message)
end)

T.finish()
