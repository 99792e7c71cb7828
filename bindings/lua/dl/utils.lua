-- dl.utils: what fits nowhere else.

local core = ...
local arguments = core.use "arguments"
local tensor = core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

local utils = {}

--- Labels as rows with a single 1: to_categorical(labels, classes, { label_base = 1, dtype = "f32" })
-- classes: the largest label where it is left out.
function utils.to_categorical(labels, classes, options)
  if type(classes) == "table" then classes, options = nil, classes end
  options = arguments.options("to_categorical", options, { label_base = "integer", dtype = "string", num_classes = "integer" })
  local base = options.label_base or 1
  labels = tensor.from(labels, "labels")
  classes = classes or options.num_classes
  local shape = core.shape(labels)
  if #shape == 2 and shape[2] == 1 then labels = labels:reshape{ -1 } end
  if #core.shape(labels) ~= 1 then
    fail("SHAPE", ("to_categorical takes a list of labels, got a tensor with %d axes"):format(#shape))
  end
  local list = core.totable(labels)
  if not classes then
    classes = 0
    for _, label in ipairs(list) do classes = math.max(classes, label - base + 1) end
    classes = math.tointeger(classes)
  end
  if math.type(classes) ~= "integer" or classes < 1 then
    fail("ARGUMENT", "to_categorical: the number of classes must be a whole number above 0, got " .. kind_of(classes))
  end
  for row, label in ipairs(list) do
    local class = math.tointeger(label)
    if not class or class < base or class >= base + classes then
      fail("RANGE", ("to_categorical: label %s in row %d; labels run from %d to %d, or say label_base = %d"):format(
        tostring(label), row, base, base + classes - 1, 1 - base))
    end
    list[row] = class - base
  end
  if #list == 0 then return core.full({ 0, classes }, 0, options.dtype) end
  local rows = core.apply("one_hot", { core.tensor(list, "i32") }, { num_classes = classes })
  return options.dtype and rows:to(options.dtype) or rows
end

--- Divides vectors by their length: normalize(x, axis, order); the last axis and Euclid's length unless others are given.
function utils.normalize(x, axis, order)
  if type(axis) == "table" then axis, order = axis.axis, axis.order end
  return core.use("ops").normalize(tensor.from(x, "x"), { axis = axis or -1, order = order or 2 })
end

--- Lists of different lengths as rows of one: pad_sequences(sequences, { maxlen = , dtype = "int32", padding = "pre",
-- truncating = "pre", value = 0 }). Where a list is filled or cut: in front ("pre") or behind ("post").
function utils.pad_sequences(sequences, options)
  options = arguments.options("pad_sequences", options, {
    maxlen = "integer", dtype = "string", padding = "string", truncating = "string", value = "number",
  })
  if type(sequences) ~= "table" then fail("ARGUMENT", "pad_sequences takes a list of lists, got " .. kind_of(sequences)) end
  local function side(name)
    local given = options[name] or "pre"
    if given ~= "pre" and given ~= "post" then
      fail("ARGUMENT", ("pad_sequences: '%s' must be 'pre' or 'post', got %s"):format(name, kind_of(given)))
    end
    return given == "pre"
  end
  local fills_front, cuts_front = side "padding", side "truncating"
  local rows, longest = {}, 0
  for place, sequence in ipairs(sequences) do
    if core.kind(sequence) == "dl.Tensor" then sequence = core.totable(sequence) end
    if type(sequence) ~= "table" then
      fail("ARGUMENT", ("pad_sequences: sequence %d is %s, not a list"):format(place, kind_of(sequence)))
    end
    rows[place], longest = sequence, math.max(longest, #sequence)
  end
  local length, value = options.maxlen or longest, options.value or 0
  if length < 0 or length > 2 ^ 31 then fail("ARGUMENT", ("pad_sequences: maxlen %d"):format(length)) end
  local result = {}
  for place, row in ipairs(rows) do
    local kept = math.min(#row, length)
    local first = cuts_front and #row - kept or 0
    local offset, padded = fills_front and length - kept or 0, {}
    for at = 1, length do padded[at] = value end
    for at = 1, kept do padded[offset + at] = row[first + at] end
    result[place] = padded
  end
  local dtype = options.dtype or "int32"
  if #result == 0 or length == 0 then return core.full({ #result, length }, 0, dtype) end
  return core.tensor(result, dtype)
end

-- The tensors of a data set: one, or a list of them with a first axis of one size.
local function parts_of(owner, data)
  local list = core.kind(data) == "dl.Tensor" and { data } or data
  if type(list) ~= "table" or #list == 0 then
    fail("ARGUMENT", ("%s takes a tensor or a list of tensors, got %s"):format(owner, kind_of(data)))
  end
  local tensors, count = {}, nil
  for place, part in ipairs(list) do
    tensors[place] = tensor.from(part, "the data")
    local rows = core.shape(tensors[place])[1]
    if not rows or count and rows ~= count then
      fail("SHAPE", ("%s: first axes must have one size. Received: %s and %s"):format(owner, tostring(count),
        tostring(rows)))
    end
    count = rows
  end
  return tensors, count, core.kind(data) == "dl.Tensor"
end

-- How many of `count` a share or a number of rows means.
local function rows_of(name, size, count)
  if size == nil then return nil end
  if math.type(size) == "integer" and size >= 0 and size <= count then return size end
  if math.type(size) == "float" and size >= 0 and size <= 1 then return math.floor(size * count + 0.5) end
  return fail("ARGUMENT", ("split_dataset: '%s' must be a share from 0.0 to 1.0 or a number of rows up to %d, got %s"):format(
    name, count, kind_of(size)))
end

--- Two parts of tensors: split_dataset({ x, y }, { left_size = 0.8, right_size = , shuffle = false, seed = })
-- A size is a share (0.8) or a number of rows (800); the other part gets the rest unless its size is given too.
function utils.split_dataset(data, left_size, options)
  if type(left_size) == "table" then left_size, options = left_size.left_size, left_size end
  options = arguments.options("split_dataset", options, {
    left_size = "number", right_size = "number", shuffle = "boolean", seed = "integer",
  })
  local tensors, count, single = parts_of("split_dataset", data)
  local left, right = rows_of("left_size", left_size, count), rows_of("right_size", options.right_size, count)
  if not left and not right then fail("ARGUMENT", "split_dataset needs left_size or right_size") end
  left = left or count - right
  right = right or count - left
  if left + right > count then
    fail("ARGUMENT", ("split_dataset: %d and %d rows are more than the %d there are"):format(left, right, count))
  end
  if options.shuffle then
    local seed = options.seed and { core.tensor({ options.seed, 0 }, "i64") } or {}
    local order = core.apply("random_permutation", seed, { n = count })
    for place, part in ipairs(tensors) do tensors[place] = (core.apply("take", { part, order }, { axis = 0 })) end
  end
  local function cut(first, last)
    local parts = {}
    for place, part in ipairs(tensors) do parts[place] = part:slice{ { first, last } } end
    return single and parts[1] or parts
  end
  return cut(1, left), cut(count - right + 1, count)
end

--- Windows of a sequence, and the target of each: timeseries_dataset_from_array(data, targets, sequence_length,
-- { sequence_stride = 1, sampling_rate = 1, start_index = 1, end_index = , shuffle = false, seed = }). Gives a tensor
-- (windows, sequence_length, ...) and the targets of the windows' first rows, or nil where there are none; rows count from 1.
function utils.timeseries_dataset_from_array(data, targets, sequence_length, options)
  if type(sequence_length) == "table" then sequence_length, options = sequence_length.sequence_length, sequence_length end
  options = arguments.options("timeseries_dataset_from_array", options, {
    sequence_length = "integer", sequence_stride = "integer", sampling_rate = "integer", start_index = "integer",
    end_index = "integer", shuffle = "boolean", seed = "integer",
  })
  data = tensor.from(data, "data")
  local count = core.shape(data)[1]
  local length, stride = math.tointeger(sequence_length), options.sequence_stride or 1
  local rate, first, last = options.sampling_rate or 1, options.start_index or 1, options.end_index or count
  if not length or length < 1 or stride < 1 or rate < 1 or not count or first < 1 or last > count or first > last then
    fail("ARGUMENT", ("timeseries_dataset_from_array: sequence_length, sequence_stride and sampling_rate must be at least 1, "
      .. "rows from 1 to %s. Received: %s, %d, %d, rows %d to %d"):format(tostring(count), tostring(sequence_length), stride,
      rate, first, last))
  end
  local final = last - (length - 1) * rate
  -- A window without a target is left out.
  if targets then
    targets = tensor.from(targets, "targets")
    final = math.min(final, first - 1 + core.shape(targets)[1])
  end
  if final < first then
    fail("SHAPE", ("timeseries_dataset_from_array: %d rows hold no window of %d steps"):format(last - first + 1, length))
  end
  local starts, rows = {}, {}
  for row = first, final, stride do starts[#starts + 1] = row end
  if options.shuffle then
    local seed = options.seed and { core.tensor({ options.seed, 0 }, "i64") } or {}
    local order, mixed = core.totable(core.apply("random_permutation", seed, { n = #starts })), {}
    for place, at in ipairs(order) do mixed[place] = starts[at + 1] end
    starts = mixed
  end
  for place, row in ipairs(starts) do
    rows[place] = {}
    for step = 1, length do rows[place][step] = row - 1 + (step - 1) * rate end
  end
  local windows = core.apply("take", { data, core.tensor(rows, "i32") }, { axis = 0 })
  if not targets then return windows end
  for place, row in ipairs(starts) do starts[place] = row - first end
  return windows, (core.apply("take", { targets, core.tensor(starts, "i32") }, { axis = 0 }))
end

--- Seeds everything random; dl.set_random_seed by Keras's place.
function utils.set_random_seed(seed)
  local whole = type(seed) == "number" and math.tointeger(seed)
  if not whole then fail("ARGUMENT", "set_random_seed takes a whole number, got " .. kind_of(seed)) end
  core.seed(whole)
end

--- Gives memory back that nobody uses any more.
function utils.clear_session()
  collectgarbage()
  core.trim()
end

--- x, y and weights of samples as one list, and the parts of such a list.
function utils.pack_x_y_sample_weight(x, y, sample_weight) return { x, y, sample_weight } end
function utils.unpack_x_y_sample_weight(data)
  if type(data) ~= "table" then return data end
  return data[1], data[2], data[3]
end

--- A bar that grows: Progbar(100, { width = 30, verbose = 1, interval = 0.05 }); bar:update(40, { { "loss", 0.5 } }), bar:add(1)
-- Values are averaged over the steps. verbose 0 prints nothing, 1 a bar, 2 one line at the end.
function utils.Progbar(target, options)
  options = arguments.options("Progbar", options, {
    width = "integer", verbose = "integer", interval = "number", stateful_metrics = "table", unit_name = "string",
  })
  if target ~= nil and math.type(target) ~= "integer" then
    fail("ARGUMENT", "Progbar takes the number of steps, or nil where it is not known, got " .. kind_of(target))
  end
  local verbose, width, unit = options.verbose or 1, options.width or 20, options.unit_name or "step"
  local bar, sums, order, stateful = { seen = 0 }, {}, {}, {}
  for _, name in ipairs(options.stateful_metrics or {}) do stateful[name] = true end
  local started, shown = core.clock(), -math.huge

  --- Shows `current` of the steps; values are pairs { name, value }, or a table by name.
  function bar.update(self, current, values, finalize)
    if math.type(current) ~= "integer" then
      fail("ARGUMENT", "bar:update(current): expected a whole number, got " .. kind_of(current))
    end
    local weight = math.max(current - self.seen, 0)
    local pairs_of = {}
    for _, pair in ipairs(values or {}) do pairs_of[#pairs_of + 1] = pair end
    for _, name in ipairs(arguments.keys(values or {})) do pairs_of[#pairs_of + 1] = { name, values[name] } end
    for _, pair in ipairs(pairs_of) do
      local name, value = pair[1], pair[2]
      if not sums[name] then
        sums[name] = { 0, 0 }
        order[#order + 1] = name
      end
      local total = sums[name]
      if stateful[name] then
        total[1], total[2] = value, 1
      else
        total[1], total[2] = total[1] + value * weight, total[2] + weight
      end
    end
    self.seen = current
    local done = finalize
    if done == nil then done = target ~= nil and current >= target end
    local now = core.clock()
    local waits = now - shown < (options.interval or 0.05)
    if verbose == 0 or verbose == 2 and not done or not done and waits then return self end
    shown = now
    local parts = { target and ("%d/%d"):format(current, target) or ("%d"):format(current) }
    if verbose == 1 and target then
      local full = math.floor(width * math.min(current / math.max(target, 1), 1))
      parts[#parts + 1] = ("[%s%s]"):format(("="):rep(full), ("."):rep(width - full))
    end
    local each = (now - started) / math.max(current, 1)
    parts[#parts + 1] = ("%.0fs %.0fms/%s"):format(now - started, each * 1e3, unit)
    for _, name in ipairs(order) do
      parts[#parts + 1] = ("- %s: %.4f"):format(name, sums[name][1] / math.max(sums[name][2], 1))
    end
    local line = table.concat(parts, " ")
    if io then
      io.write(verbose == 1 and "\r" or "", line, done and "\n" or "")
      io.stdout:flush()
    elseif done then
      print(line)
    end
    return self
  end

  --- Shows `n` steps more.
  function bar.add(self, n, values) return self:update(self.seen + (n or 1), values) end

  --- The averages so far, by name.
  function bar.values()
    local found = {}
    for name, total in pairs(sums) do found[name] = total[1] / math.max(total[2], 1) end
    return found
  end
  return bar
end

-- Names that stand in dl.saving and in the drawing of models.
setmetatable(utils, {
  __index = function(_, name)
    local places = {
      custom_object_scope = "saving", register_keras_serializable = "saving", get_custom_objects = "saving",
      get_registered_name = "saving", get_registered_object = "saving", model_to_dot = "plot", plot_model = "plot",
      model_to_svg = "plot", load_img = "pictures", save_img = "pictures", img_to_array = "pictures",
      array_to_img = "pictures", smart_resize = "pictures",
      image_dataset_from_directory = "folders", text_dataset_from_directory = "folders", get_file = "folders",
      PyDataset = "batches", Sequence = "batches",
    }
    if places[name] then return core.use(places[name])[name] end
    local names = arguments.keys(utils)
    for known in pairs(places) do names[#names + 1] = known end
    table.sort(names)
    return fail("NOT_FOUND", ("there is no dl.utils.%s%s"):format(tostring(name), arguments.suggestion(name, names)))
  end,
})

--- The name of a thing and nothing else, for file names.
function utils.basename(path) return (tostring(path):match "[^/]*$") end

return utils
