-- Data sets in memory: x and y of equal length, with batches, splits and selections.

local core = ...
local arguments = core.use "arguments"
local tensor = core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

local Data = { __name = "dl.Data" }
Data.__index = Data

local data = {}

--- A data set of a tensor of samples and a tensor of labels or targets.
function data.new(x, y, class_names, label_base)
  x, y = tensor.from(x, "x"), tensor.from(y, "y")
  if #x ~= #y then fail("SHAPE", ("x has %d samples, y has %d"):format(#x, #y)) end
  return setmetatable({ x = x, y = y, class_names = class_names, label_base = label_base or 1 }, Data)
end

function Data:__len() return #self.x end

function Data:__tostring()
  local function shape(t) return "(" .. table.concat(core.shape(t), ", ") .. ")" end
  return ("data set: x %s %s, y %s %s"):format(core.dtype(self.x), shape(self.x), core.dtype(self.y), shape(self.y))
end

-- Random numbers of a data set's own, so that shuffling neither depends on nor disturbs math.random: SplitMix64
-- (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
local function generator(seed)
  local state = seed
  return function(bound)
    state = state + 0x9e3779b97f4a7c15
    local z = state
    z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
    z = (z ~ (z >> 27)) * 0x94d049bb133111eb
    z = z ~ (z >> 31)
    -- The upper bits as a fraction; `bound` is far below 2^53.
    return math.floor((z >> 11) * (1 / 9007199254740992) * bound) + 1
  end
end

local draws = 0

-- A permutation of 0 ... count - 1.
local function permutation(count, seed)
  if not seed then
    -- Another order each time, decided by the process's seed.
    draws = draws + 1
    seed = math.floor(core.item(tensor.uniform({ 1 }, { maxval = 2 ^ 24 }))) * 65537 + draws
  end
  local order, random = {}, generator(seed)
  for place = 1, count do order[place] = place - 1 end
  for place = count, 2, -1 do
    local other = random(place)
    order[place], order[other] = order[other], order[place]
  end
  return order
end

-- Samples in the order of positions from 0.
local function take(t, positions) return (core.apply("take", { t, positions }, { axis = 0 })) end

local function with(self, x, y) return data.new(x, y, self.class_names, self.label_base) end

--- for step, x, y in set:batches{ size = 64, shuffle = true, seed = 1, drop_remainder = false } do
function Data:batches(options)
  options = arguments.options("batches", options, {
    size = "integer", batch_size = "integer", shuffle = "boolean", seed = "integer", drop_remainder = "boolean",
  })
  local size, count = options.size or options.batch_size or 32, #self.x
  if size < 1 then fail("ARGUMENT", ("batches: size must be at least 1, got %d"):format(size)) end
  local order = options.shuffle and core.tensor(permutation(count, options.seed), "i32")
  local step = 0
  return function()
    local first = step * size + 1
    local last = math.min(first + size - 1, count)
    if first > count or options.drop_remainder and last - first + 1 < size then return nil end
    step = step + 1
    local range = { { first, last } }
    if not order then return step, core.index(self.x, range), core.index(self.y, range) end
    local part = core.index(order, range)
    return step, take(self.x, part), take(self.y, part)
  end
end

--- The first `count` samples, and the rest; a share of them for a number below 1.
function Data:split(count)
  local total = #self.x
  if type(count) == "number" and count > 0 and count < 1 then count = math.floor(total * count) end
  if math.type(count) ~= "integer" or count < 1 or count >= total then
    fail("RANGE", ("split(count): count must be from 1 to %d, or a share below 1; got %s"):format(total - 1, kind_of(count)))
  end
  local head, tail = { { 1, count } }, { { count + 1, total } }
  return with(self, core.index(self.x, head), core.index(self.y, head)),
    with(self, core.index(self.x, tail), core.index(self.y, tail))
end

--- The first `count` samples.
function Data:take(count)
  if math.type(count) ~= "integer" or count < 1 then
    fail("ARGUMENT", "take(count): count must be a whole number above 0, got " .. kind_of(count))
  end
  local range = { { 1, math.min(count, #self.x) } }
  return with(self, core.index(self.x, range), core.index(self.y, range))
end

--- The same samples in random order.
function Data:shuffle(seed)
  local order = core.tensor(permutation(#self.x, seed), "i32")
  return with(self, take(self.x, order), take(self.y, order))
end

--- The samples of some classes, whose labels become 1, 2, ... in the given order.
-- select_classes({ 6, 7 }, { per_class = 50 }) takes the first 50 of each.
function Data:select_classes(labels, options)
  options = arguments.options("select_classes", options, { per_class = "integer" })
  if type(labels) ~= "table" or #labels == 0 then fail("ARGUMENT", "select_classes takes a list of labels") end
  local new, names, taken = {}, self.class_names and {} or nil, {}
  for place, label in ipairs(labels) do
    new[label], taken[label] = place - 1 + self.label_base, 0
    if names then names[place] = self.class_names[label - self.label_base + 1] end
  end
  local positions, y = {}, {}
  for place, label in ipairs(core.totable(self.y)) do
    if new[label] and (not options.per_class or taken[label] < options.per_class) then
      taken[label] = taken[label] + 1
      positions[#positions + 1], y[#y + 1] = place - 1, new[label]
    end
  end
  if #positions == 0 then fail("RANGE", "select_classes: no sample has one of these labels") end
  return data.new(take(self.x, core.tensor(positions, "i32")), core.tensor(y, core.dtype(self.y)), names, self.label_base)
end

-- ---- A data set in two parts -------------------------------------------------------------------------------------

local Split = { __name = "dl.Dataset" }
Split.__index = Split

function Split:__tostring() return ("train %s; test %s"):format(tostring(self.train), tostring(self.test)) end

function Split:select_classes(labels, options)
  local train = self.train:select_classes(labels, options)
  return data.pair(train, self.test:select_classes(labels), train.class_names, self.origin)
end

function data.pair(train, test, class_names, origin)
  return setmetatable({ train = train, test = test, class_names = class_names, origin = origin }, Split)
end

return data
