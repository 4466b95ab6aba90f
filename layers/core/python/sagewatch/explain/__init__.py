"""Why the model answered so: FullGrad from recorded tensors, and pictures of it. Numpy and Pillow only, no torch, no smdebug.

In: the directory tree that `endpoint_code/debugger_hook.py` leaves. `trial` finds the steps, `tensorfile` reads their
bytes, `fullgrad` explains one step, `heatmap` draws it.
"""
