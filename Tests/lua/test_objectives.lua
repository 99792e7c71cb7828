-- Losses and metrics: functions, objects, label bases, states, and what bad input gets.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, losses, metrics = dl.layers, dl.losses, dl.metrics

test("losses as functions give one number for each sample", function()
  near(losses.mean_squared_error({ { 1.0, 2.0 }, { 0.0, 0.0 } }, { { 0.0, 0.0 }, { 3.0, 1.0 } }):totable(), { 2.5, 5.0 })
  near(losses.huber({ { 0.0 } }, { { 3.0 } }, { delta = 2.0 }):totable(), { 4.0 })
  near(losses.sparse_categorical_crossentropy({ 1, 2 }, { { 0.5, 0.5 }, { 0.75, 0.25 } }):totable(), { math.log(2), math.log(4) })
  near(losses.sparse_categorical_crossentropy({ 0, 1 }, { { 0.5, 0.5 }, { 0.75, 0.25 } }, { label_base = 0 }):totable(),
    { math.log(2), math.log(4) })
  raises("unknown option 'delt'", losses.huber, { { 0.0 } }, { { 3.0 } }, { delt = 2.0 })
end)

test("losses beyond Keras", function()
  local t, p = { { 1.0 }, { -1.0 } }, { { 2.0 }, { 2.0 } }
  near(losses.Exponential{ reduction = "none" }(t, p):totable(), { math.exp(-2), math.exp(2) })
  near(losses.Logistic{ reduction = "none" }(t, { { 0.0 }, { 0.0 } }):totable(), { 1.0, 1.0 })
  near(losses.HalfSquaredError{ reduction = "sum" }({ { 1.0, 2.0 } }, { { 0.0, 0.0 } }):item(), 2.5)
  near(losses.Wasserstein()(t, { { 3.0 }, { 1.0 } }):item(), -1.0)
  local triplet = dl.tensor{ { { 0.0, 0.0 }, { 3.0, 4.0 }, { 0.0, 1.0 } } }
  near(losses.TripletMargin{ margin = 0.5 }({ 0 }, triplet):item(), 4.5)
  near(losses.MarginRanking{ margin = 0.25 }({ 1, -1 }, { { 0.0, 1.0 }, { 0.0, 1.0 } }):item(), (1.25 + 0) / 2)
  near(losses.CosineEmbedding()({ 1, -1 }, { { { 1.0, 0.0 }, { 0.0, 1.0 } }, { { 1.0, 0.0 }, { 1.0, 0.0 } } }):item(), 1.0)
  raises({ "TripletMargin", "anchor" }, losses.TripletMargin(), { 0 }, { { 0.0, 1.0 } })
  raises({ "CosineEmbedding" }, losses.CosineEmbedding(), { 1, 1, 1 }, { { { 1.0 }, { 1.0 } } })
end)

local function labelled(loss, metric, base)
  dl.set_random_seed(2)
  local model = dl.Sequential{ L.Input{ 2 }, L.Dense{ 2, activation = "softmax" } }
  model:compile{ optimizer = "sgd", loss = loss, metrics = { metric }, label_base = base }
  return model:evaluate(dl.tensor{ { 1.0, 0.0 }, { 0.0, 1.0 } }, dl.tensor({ 1 - (1 - base), 2 - (1 - base) }, "i32"))
end

test("compile's label base reaches objects that say none", function()
  for base = 0, 1 do
    local result = labelled(losses.SparseCategoricalCrossentropy(), metrics.SparseCategoricalAccuracy(), base)
    local other = labelled("sparse_categorical_crossentropy", "sparse_categorical_accuracy", base)
    near(result[1], other[1])
    near(result[2], other[2])
  end
  near(labelled(losses.sparse_categorical_crossentropy, "accuracy", 1)[1],
    labelled("sparse_categorical_crossentropy", "accuracy", 1)[1])
  -- What an object says itself holds.
  raises("dl[E_", labelled, losses.SparseCategoricalCrossentropy{ label_base = 1 }, "accuracy", 0)
end)

test("metrics gather over batches", function()
  local precision = metrics.Precision{ thresholds = { 0.25, 0.5 } }
  precision:update({ 1, 0, 1 }, { 0.3, 0.4, 0.9 })
  near(precision:result():totable(), { 2 / 3, 1.0 })
  precision:update({ 0 }, { 0.8 })
  near(precision:result():totable(), { 0.5, 0.5 })
  precision:reset_state()
  near(precision:result():totable(), { 0, 0 })
  local auc = metrics.AUC()
  near(auc({ 0, 0, 1, 1 }, { 0.1, 0.4, 0.35, 0.8 }), 0.75, 1e-2)
  near(metrics.Recall{ class_id = 2 }({ { 1, 0 }, { 0, 1 } }, { { 0.9, 0.1 }, { 0.1, 0.9 } }), 1.0)
  near(metrics.F1Score{ average = "macro" }({ { 1, 0 }, { 0, 1 } }, { { 0.9, 0.1 }, { 0.8, 0.2 } }), (2 / 3 + 0) / 2, 1e-4)
  near(metrics.MeanIoU{ num_classes = 2 }({ 1, 1, 2, 2 }, { 1, 2, 2, 2 }), (1 / 2 + 2 / 3) / 2)
  near(metrics.ZeroOne()({ 1, 2, 2 }, { { 0.9, 0.1 }, { 0.9, 0.1 }, { 0.1, 0.9 } }), 1 / 3)
  near(metrics.TruePositives()({ 1, 1, 0 }, { 0.9, 0.2, 0.9 }, { 2.0, 1.0, 1.0 }), 2.0)
  equal(metrics.ROCCurve{ num_thresholds = 5 }({ 0, 1 }, { 0.2, 0.7 }).shape, { 3, 5 })
  near(metrics.MeanMetricWrapper(function(t, p) return (t - p):abs() end, { name = "mine" })({ 1.0 }, { 3.0 }), 2.0)
end)

test("metrics in fit, by name and as objects", function()
  local model = dl.Sequential{ L.Input{ 2 }, L.Dense{ 1, activation = "sigmoid" } }
  local recall = metrics.Recall()
  model:compile{ optimizer = "adam", loss = "binary_focal_crossentropy", metrics = { "auc", recall, "precision" },
    weighted_metrics = { "true_positives" } }
  local x, y = dl.randn{ 40, 2 }, (dl.rand{ 40, 1 } - 0.5):sign() * 0.5 + 0.5
  local history = model:fit(x, y, { epochs = 2, verbose = 0, sample_weight = dl.ones{ 40 } })
  for _, name in ipairs{ "auc", "recall", "precision", "true_positives" } do
    equal(#history[name], 2)
    assert(history[name][2] >= 0, name)
  end
  near(recall:result(), history.recall[2])
end)

test("what cannot be is refused in words", function()
  raises("thresholds", metrics.Precision, { thresholds = { 0.5, 2.0 } })
  raises("class_id", function() metrics.Recall{ class_id = 4 }({ { 1, 0 } }, { { 0.9, 0.1 } }) end)
  raises("top_k", function() metrics.Recall{ top_k = 4 }({ { 1, 0 } }, { { 0.9, 0.1 } }) end)
  raises("target_class_ids", metrics.IoU, { num_classes = 2, target_class_ids = { 3 } })
  raises("specificity", metrics.SensitivityAtSpecificity)
  raises("F1Score", function() metrics.F1Score()({ 1, 2 }, { 0.5, 0.5 }) end)
  raises("R2Score", function() metrics.R2Score()({ 1.0 }, { 2.0 }) end)
  raises("no predictions", function() metrics.AUC():update({ 1 }) end)
  raises("did you mean", function() return metrics.F1Scor end)
  raises("q", losses.CategoricalGeneralizedCrossEntropy, { q = 1.0 })
  raises({ "targets", "predictions" }, losses.Dice(), { 1, 0 }, { 0.5 })
  raises("Circle", losses.Circle(), { 1, 2 }, { { 1.0 } })
  raises("reduction", losses.Tversky, { reduction = "median" })
end)

T.finish()
