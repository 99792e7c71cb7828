-- dl.preprocessing: names of dl.utils by another of Keras's places.

local core = ...
local utils = core.use "utils"

local function place(title, names)
  return setmetatable({}, {
    __index = function(space, name)
      local value = names[name] and utils[name]
      if not value then
        core.fail("NOT_FOUND", ("there is no %s.%s%s"):format(title, tostring(name),
          core.use("arguments").suggestion(name, core.use("arguments").keys(names))))
      end
      rawset(space, name, value)
      return value
    end,
    __tostring = function() return title end,
  })
end

return {
  image = place("dl.preprocessing.image", {
    array_to_img = true, img_to_array = true, load_img = true, save_img = true, smart_resize = true,
  }),
  image_dataset_from_directory = utils.image_dataset_from_directory,
  text_dataset_from_directory = utils.text_dataset_from_directory,
  timeseries_dataset_from_array = utils.timeseries_dataset_from_array,
  sequence = place("dl.preprocessing.sequence", { pad_sequences = true }),
}
