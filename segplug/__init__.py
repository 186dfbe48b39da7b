"""Crack segmentation: GBC models beside smp's, training, evaluation and prediction. Imports no Ultralytics.

Entry points: `segplug.train.train(TrainConfig(…))`, `segplug.evaluate.evaluate(checkpoint, data)`,
`segplug.predict.predict(checkpoint, source, out)`, `segplug.models.create_model(name, …)`, the command `segplug`.
"""
