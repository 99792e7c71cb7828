-- Pictures in files: dl.utils.load_img, save_img, img_to_array, array_to_img, smart_resize. A picture is a tensor of bytes,
-- (height, width, channels).

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local tensor = core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

local pictures = {}

-- ---- Arguments ---------------------------------------------------------------------------------------------------

local function channels_first(owner, format)
  format = format or declared.data_format or "channels_last"
  if format ~= "channels_last" and format ~= "channels_first" then
    fail("ARGUMENT", ("'data_format' of %s must be 'channels_last' or 'channels_first', got %s"):format(owner, kind_of(format)))
  end
  return format == "channels_first"
end

-- Height and width out of a number or a list of two; folders use it too.
local function read_size(owner, name, given)
  local list = type(given) == "number" and { given, given } or given
  local sizes = {}
  for place = 1, 2 do
    local size = type(list) == "table" and #list == 2 and type(list[place]) == "number" and math.tointeger(list[place])
    if not size or size < 1 then
      fail("ARGUMENT", ("'%s' of %s must be height and width, both above 0, got %s"):format(name, owner,
        type(list) == "table" and core.encode(list) or kind_of(given)))
    end
    sizes[place] = size
  end
  return sizes
end
rawset(pictures, "size", read_size)

-- ---- Reading -----------------------------------------------------------------------------------------------------

local load_options = {
  path = "string", bytes = "string", color_mode = "string", target_size = "table|number", interpolation = "string",
  keep_aspect_ratio = "boolean",
}

--- A picture as bytes (height, width, channels): load_img("cat.jpg", { color_mode = "rgb", target_size = { 64, 64 },
-- interpolation = "nearest", keep_aspect_ratio = false }). PNG, JPEG, BMP, PGM and PPM, told apart by their first bytes;
-- color_mode "grayscale", "rgb" or "rgba"; interpolation "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
-- load_img{ bytes = data } reads a file's contents. Nil, message, code where the file is missing or damaged.
function pictures.load_img(path, options)
  if type(path) == "table" then path, options = path.path or path[1], path end
  options = arguments.options("load_img", options, load_options)
  if (type(path) == "string") == (options.bytes ~= nil) then
    fail("ARGUMENT", "load_img takes a file name, or the contents of a file as 'bytes', got " .. kind_of(path))
  end
  local form = {
    color_mode = options.color_mode, interpolation = options.interpolation, keep_aspect_ratio = options.keep_aspect_ratio,
  }
  if options.target_size then
    form.target_size = core.array(read_size("load_img", "target_size", options.target_size))
  end
  if options.bytes then return core.image_decode(options.bytes, form) end
  return core.image_load(path, form)
end

--- A picture as numbers, (height, width, channels): img_to_array(img, { data_format = "channels_last", dtype = "f32" })
function pictures.img_to_array(img, options)
  options = arguments.options("img_to_array", options, { data_format = "string", dtype = "string" })
  if img == nil then fail("ARGUMENT", "img_to_array takes a picture, got nil; load_img says as its second result why") end
  local x = tensor.from(img, "img"):to(options.dtype or "f32")
  local shape = core.shape(x)
  if #shape ~= 2 and #shape ~= 3 then
    fail("SHAPE", ("img_to_array takes (height, width) or (height, width, channels). Received: %s"):format(tostring(shape)))
  end
  if #shape == 2 then x = x:reshape{ shape[1], shape[2], 1 } end
  if not channels_first("img_to_array", options.data_format) then return x end
  return (core.apply("transpose", { x }, { axes = core.array{ 2, 0, 1 } }))
end

-- ---- Writing -----------------------------------------------------------------------------------------------------

local function number(x, reduction) return core.item((core.apply(reduction, { x }, {}))) end

--- Numbers as a picture: array_to_img(x, { data_format = "channels_last", scale = true }). With scale, the least becomes 0
-- and the largest 255; without, numbers outside of 0 to 255 are cut off, but grey beyond 255 becomes int32.
function pictures.array_to_img(x, options)
  options = arguments.options("array_to_img", options, { data_format = "string", scale = "boolean", dtype = "string" })
  x = tensor.from(x, "x"):to(options.dtype or "f32")
  if #core.shape(x) ~= 3 then
    fail("SHAPE", ("array_to_img takes one picture of three axes. Received: %s"):format(tostring(core.shape(x))))
  end
  if channels_first("array_to_img", options.data_format) then
    x = core.apply("transpose", { x }, { axes = core.array{ 1, 2, 0 } })
  end
  local shape = core.shape(x)
  if shape[3] ~= 1 and shape[3] ~= 3 and shape[3] ~= 4 or shape[1] * shape[2] == 0 then
    fail("SHAPE", ("array_to_img takes 1, 3 or 4 channels and at least one pixel. Received: %s"):format(tostring(shape)))
  end
  if options.scale ~= false then
    x = x - number(x, "min")
    local largest = number(x, "max")
    if largest ~= 0 then x = x / largest end
    x = x * 255
  end
  local deep = shape[3] == 1 and number(x, "max") > 255
  x = core.apply("maximum", { x, core.tensor(0, core.dtype(x)) }, {})
  if deep then return x:to "i32" end
  return core.apply("minimum", { x, core.tensor(255, core.dtype(x)) }, {}):to "u8"
end

--- Writes a picture: save_img("cat.png", x, { data_format = "channels_last", file_format = , scale = true, quality = 75,
-- compress_level = 6 }); PNG, JPEG, PGM or PPM by the ending or by file_format, x as array_to_img takes it. JPEG, PGM and PPM
-- leave alpha out. True, or nil, message, code.
function pictures.save_img(path, x, options)
  options = arguments.options("save_img", options, {
    data_format = "string", file_format = "string", scale = "boolean", quality = "integer", compress_level = "integer",
  })
  if type(path) ~= "string" then fail("ARGUMENT", "save_img(path, x) takes a file name first, got " .. kind_of(path)) end
  local picture = pictures.array_to_img(x, { data_format = options.data_format, scale = options.scale })
  return core.image_save(picture, path, {
    file_format = options.file_format and options.file_format:lower(), quality = options.quality,
    compress_level = options.compress_level,
  })
end

-- ---- Sizes -------------------------------------------------------------------------------------------------------

--- Another size without distortion: the largest part in the middle that has the proportions of `size`, resized.
-- smart_resize(x, { 64, 64 }, { interpolation = "bilinear", data_format = "channels_last" }); x of (height, width, channels)
-- or a batch of them.
function pictures.smart_resize(x, size, options)
  if type(size) == "table" and size.size then size, options = size.size, size end
  options = arguments.options("smart_resize", options, {
    size = "table|number", interpolation = "string", data_format = "string",
  })
  x = tensor.from(x, "x")
  if core.dtype(x) ~= "float32" and core.dtype(x) ~= "float64" then x = x:to "f32" end
  local shape = core.shape(x)
  if #shape ~= 3 and #shape ~= 4 then
    fail("SHAPE", ("smart_resize takes (height, width, channels) or a batch of them. Received: %s"):format(tostring(shape)))
  end
  local sizes = read_size("smart_resize", "size", size)
  local first = channels_first("smart_resize", options.data_format or "channels_last")
  return (core.apply("resize", { x }, {
    size = core.array(sizes), interpolation = options.interpolation or "bilinear", crop_to_aspect_ratio = true,
    data_format = first and "channels_first" or "channels_last",
  }))
end

return pictures
