-- dl.random: random tensors. A seed is a whole number, which always gives the same numbers, or a SeedGenerator, which gives
-- others each time; without one the process's seed decides (dl.set_random_seed).

local core = ...
local arguments = core.use "arguments"
local tensor = core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

local random = {}

local generator = { __name = "dl.SeedGenerator" }
generator.__index = generator

--- A seed of its own, which moves on with every draw: SeedGenerator(42), SeedGenerator{ seed = 42 }
function random.SeedGenerator(given)
  local options = type(given) == "table" and given or { seed = given }
  options = arguments.options("SeedGenerator", options, { seed = "integer", name = "string" })
  local seed = options.seed
  if not seed then seed = core.totable(core.apply("random_integers", {}, { shape = core.array{ 1 }, minval = 0,
    maxval = 2 ^ 53 // 1 | 0, dtype = "int64" }))[1] end
  return setmetatable({ seed = seed, draws = 0, initial_seed = seed }, generator)
end

--- The seed of the next draw: two whole numbers as a tensor.
function generator:next()
  self.draws = self.draws + 1
  return core.tensor({ self.seed, self.draws - 1 }, "i64")
end

function generator:get_config() return { seed = self.initial_seed } end
function generator:__tostring() return ("SeedGenerator { seed = %d, draws = %d }"):format(self.seed, self.draws) end

local function seeds(owner, seed)
  if seed == nil then return {} end
  if getmetatable(seed) == generator then return { seed:next() } end
  local whole = type(seed) == "number" and math.tointeger(seed)
  if not whole then
    fail("ARGUMENT", ("'seed' of %s must be a whole number or a SeedGenerator, got %s"):format(owner, kind_of(seed)))
  end
  return { core.tensor({ whole, 0 }, "i64") }
end

-- For operations elsewhere that draw random numbers.
core.random_seeds = seeds

local function sizes(owner, shape)
  if type(shape) == "number" then shape = { shape } end
  if type(shape) ~= "table" then
    fail("ARGUMENT", ("'shape' of %s must be a list of sizes, got %s"):format(owner, kind_of(shape)))
  end
  local list = {}
  for place, size in ipairs(shape) do
    local whole = type(size) == "number" and math.tointeger(size)
    if not whole or whole < 0 then
      fail("ARGUMENT", ("'shape' of %s must be a list of sizes of at least 0, got %s"):format(owner, kind_of(size)))
    end
    list[place] = whole
  end
  return core.array(list)
end

local function draw(owner, operation, shape, options, allowed)
  allowed.dtype, allowed.seed = "string", "any"
  options = arguments.options(owner, options, allowed)
  local config = { shape = sizes(owner, shape), dtype = options.dtype }
  for name in pairs(allowed) do
    if name ~= "seed" and name ~= "dtype" then config[name] = options[name] end
  end
  return (core.apply(operation, seeds(owner, options.seed), config))
end

--- Equally likely in [minval, maxval): uniform({ 2, 3 }, { minval = 0, maxval = 1, dtype = "f32", seed = 1 })
function random.uniform(shape, options)
  return draw("uniform", "random_uniform", shape, options, { minval = "number", maxval = "number" })
end

--- Of the normal distribution: normal({ 2, 3 }, { mean = 0, stddev = 1 })
function random.normal(shape, options)
  return draw("normal", "random_normal", shape, options, { mean = "number", stddev = "number" })
end

--- The same, at most two standard deviations from the mean.
function random.truncated_normal(shape, options)
  return draw("truncated_normal", "random_truncated_normal", shape, options, { mean = "number", stddev = "number" })
end

--- Whole numbers from minval to maxval - 1: randint({ 2, 3 }, 1, 7) throws dice.
function random.randint(shape, minval, maxval, options)
  if type(minval) == "table" then minval, maxval, options = minval.minval, minval.maxval, minval end
  options = arguments.options("randint", options, { minval = "integer", maxval = "integer", dtype = "string", seed = "any" })
  local low, high = math.tointeger(minval or 0), math.tointeger(maxval or 0)
  if not low or not high or low >= high then
    fail("ARGUMENT", ("randint: minval must be below maxval, both whole. Received: %s and %s"):format(tostring(minval),
      tostring(maxval)))
  end
  return (core.apply("random_integers", seeds("randint", options.seed), { shape = sizes("randint", shape), minval = low,
    maxval = high, dtype = options.dtype }))
end

--- Classes drawn with the probabilities softmax(logits), num_samples for each row, counted from 1:
-- categorical(logits, num_samples, { dtype = "i32", seed = 1 })
function random.categorical(logits, num_samples, options)
  if type(num_samples) == "table" then num_samples, options = num_samples.num_samples, num_samples end
  options = arguments.options("categorical", options, { num_samples = "integer", dtype = "string", seed = "any" })
  logits = tensor.from(logits, "logits")
  local shape, count = core.shape(logits), type(num_samples) == "number" and math.tointeger(num_samples)
  if #shape ~= 2 then fail("SHAPE", ("categorical takes logits (batch, classes), got %d axes"):format(#shape)) end
  if not count or count < 1 then
    fail("ARGUMENT", "categorical: num_samples must be a whole number of at least 1, got " .. kind_of(num_samples))
  end
  local inputs = { logits, table.unpack(seeds("categorical", options.seed)) }
  return (core.apply("random_categorical", inputs, { num_samples = count, dtype = options.dtype })) + 1
end

-- Numbers of a distribution whose parameters are numbers or tensors; a number must lie in its range, and a place of a tensor
-- that does not gives NaN.
local function shaped(owner, operation, shape, parameters, options)
  options = arguments.options(owner, options, { dtype = "string", seed = "any" })
  local inputs = {}
  for place, parameter in ipairs(parameters) do
    local name, value, low, high = table.unpack(parameter, 1, 4)
    if type(value) == "number" and not (value >= low and value <= high and value < math.huge) then
      fail("ARGUMENT", ("'%s' of %s must be %s, got %s"):format(name, owner, parameter[5], value))
    end
    if value == nil then fail("ARGUMENT", ("'%s' of %s is missing"):format(name, owner)) end
    inputs[place] = tensor.from(value, ("'%s' of %s"):format(name, owner))
  end
  for _, seed in ipairs(seeds(owner, options.seed)) do inputs[#inputs + 1] = seed end
  return (core.apply(operation, inputs, { shape = sizes(owner, shape), dtype = options.dtype }))
end

local tiny, most = 2.2250738585072014e-308, math.huge

--- Of the gamma distribution with scale 1: gamma({ 2, 3 }, alpha, { dtype = "f32", seed = 1 }); alpha is a number or a tensor.
function random.gamma(shape, alpha, options)
  if type(alpha) == "table" and alpha.alpha then
    alpha, options = alpha.alpha, { dtype = alpha.dtype, seed = alpha.seed }
  end
  return shaped("gamma", "random_gamma", shape, { { "alpha", alpha, tiny, most, "a number above 0" } }, options)
end

--- Of the beta distribution: beta({ 2, 3 }, alpha, beta, { dtype = "f32", seed = 1 }); both are numbers or tensors.
function random.beta(shape, alpha, beta, options)
  if type(alpha) == "table" and alpha.alpha then
    alpha, beta, options = alpha.alpha, alpha.beta, { dtype = alpha.dtype, seed = alpha.seed }
  end
  return shaped("beta", "random_beta", shape,
    { { "alpha", alpha, tiny, most, "a number above 0" }, { "beta", beta, tiny, most, "a number above 0" } }, options)
end

--- How many of `counts` tries succeed: binomial({ 2, 3 }, counts, probabilities, { dtype = "f32", seed = 1 }); both are
-- numbers or tensors.
function random.binomial(shape, counts, probabilities, options)
  if type(counts) == "table" and counts.counts then
    counts, probabilities, options = counts.counts, counts.probabilities, { dtype = counts.dtype, seed = counts.seed }
  end
  return shaped("binomial", "random_binomial", shape, { { "counts", counts, 0, 2 ^ 53, "a number from 0 to 2^53" },
    { "probabilities", probabilities, 0, 1, "a number from 0 to 1" } }, options)
end

--- The entries along an axis in random order: shuffle(x, axis, { seed = 1 }); the axis is 1 unless another is given.
function random.shuffle(x, axis, options)
  if type(axis) == "table" then axis, options = axis.axis, axis end
  options = arguments.options("shuffle", options, { axis = "integer", seed = "any" })
  x = tensor.from(x, "x")
  local shape, place = core.shape(x), math.tointeger(axis or 1)
  local at = place and (place < 0 and #shape + 1 + place or place)
  if not at or at < 1 or at > #shape then
    fail("RANGE", ("shuffle: axis %s of a tensor with %d axes; axes count from 1"):format(tostring(axis), #shape))
  end
  local order = core.apply("random_permutation", seeds("shuffle", options.seed), { n = shape[at] })
  return (core.apply("take", { x, order }, { axis = at - 1 }))
end

--- Elements set to 0 with probability rate, the others scaled by 1 / (1 - rate): dropout(x, rate, { seed = 1 })
function random.dropout(x, rate, options)
  options = arguments.options("dropout", options, { seed = "any" })
  x = tensor.from(x, "inputs")
  if type(rate) ~= "number" or not (rate >= 0 and rate < 1) then
    fail("ARGUMENT", "dropout: rate must be from 0 to below 1, got " .. kind_of(rate))
  end
  local seed = seeds("dropout", options.seed)[1] or random.SeedGenerator():next()
  return (core.apply("dropout", { x, seed }, { rate = rate }))
end

return random
