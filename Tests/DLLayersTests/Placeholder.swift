// Tests of DLLayers.
