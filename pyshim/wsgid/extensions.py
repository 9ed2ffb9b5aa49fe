"""Extension modules in sub-interpreters: those that refuse, or go wrong there,
are named together with the setting that helps."""

import importlib.machinery
import re
import struct
import sys
import warnings

CODE = "WSGID-1143"

# What extensions say when they are imported into the wrong interpreter: CPython
# 3.12 and later itself, PyO3, Cython, NumPy 2.
_REFUSALS = re.compile(
    r"module (?P<module>\S+) does not support loading in subinterpreters"
    r"|PyO3 modules do not yet support subinterpreters"
    r"|PyO3 modules .*may only be initialized once per interpreter process"
    r"|Interpreter change detected - this module can only be loaded into one interpreter per process"
    r"|cannot load module more than once per process"
)
_NUMPY_WARNS = "NumPy was imported from a Python sub-interpreter"
_REFUSED = "does not support sub-interpreters"

# How a thread is made in C, in C++ and by the C library's own threads.
_MAKES_THREADS = (b"pthread_create", b"thrd_create", b"_ZNSt6thread15_M_start_thread")

_place = None  # the application group and whether it has a GIL of its own
_named = set()


def watch(application_group, own_gil):
    """From now on warnings of NumPy and imports of extensions are looked at."""
    global _place
    _place = application_group, own_gil
    show, loader = warnings.showwarning, importlib.machinery.ExtensionFileLoader
    create, execute = loader.create_module, loader.exec_module

    def showwarning(message, *arguments, **options):
        show(message, *arguments, **options)
        if _NUMPY_WARNS in str(message):
            _warn("numpy", _REFUSED)

    def create_module(self, spec):
        try:
            module = create(self, spec)
        except ImportError as error:
            error.name = error.name or spec.name
            raise
        if makes_python_threads(self.path):
            _warn(spec.name, "enters Python from threads of its own with PyGILState_Ensure, which leads into the main "
                  "interpreter")
        return module

    def exec_module(self, module):
        try:
            execute(self, module)
        except ImportError as error:
            error.name = error.name or module.__spec__.name
            raise

    for function in create_module, exec_module:
        # Python leaves its own import machinery out of tracebacks by this name.
        function.__code__ = function.__code__.replace(co_filename="<frozen importlib._bootstrap_external>")
    loader.create_module, loader.exec_module = create_module, exec_module
    warnings.showwarning = showwarning


def explain(exception):
    """The sentence about the extension that is behind an exception, or None."""
    module, seen = None, set()
    while _place and exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        matched = _REFUSALS.search(str(exception)) if isinstance(exception, ImportError) else None
        if matched:
            # What wraps the exception of the extension may quote it, without a name.
            module = matched.group("module") or exception.name or module or "(unknown)"
        exception = exception.__cause__ or exception.__context__
    return _sentence(module, _REFUSED) if module else None


def diagnose(exception):
    """Logs what explain says; the server calls it with every exception that it
    logs. Returns whether there was something."""
    import wsgid

    sentence = explain(exception)
    if sentence:
        wsgid._log("error", sentence, CODE)
    return sentence is not None


def _warn(module, why):
    """Logs it, once for each module."""
    import wsgid

    if module not in _named:
        _named.add(module)
        wsgid._log("warn", _sentence(module, why), CODE)


def _sentence(module, why):
    application_group, own_gil = _place
    return 'extension module %s %s; this is application group "%s": set application_group = "%%{GLOBAL}" for its mount%s' % (
        module, why, application_group, ", or take per_interpreter_gil out" if own_gil else "")


def makes_python_threads(path):
    """Whether a shared object needs both PyGILState_Ensure and a function that
    makes threads. What cannot be read needs nothing."""
    try:
        names = _needed(path)
    except (OSError, struct.error, IndexError):
        return False
    return b"PyGILState_Ensure" in names and any(name.startswith(_MAKES_THREADS) for name in names)


def _needed(path):
    """The names in the dynamic string table of a 64-bit ELF file of this byte order."""
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02" + (b"\x01" if sys.byteorder == "little" else b"\x02"):
            return []
        offset, = struct.unpack_from("=Q", header, 0x28)
        size, count = struct.unpack_from("=HH", header, 0x3A)
        file.seek(offset)
        table = file.read(size * count)
        sections = [struct.unpack_from("=IIQQQQII", table, size * number) for number in range(count)]
        for _, kind, _, _, _, _, link, _ in sections:
            if kind == 11:  # SHT_DYNSYM; its link is the string table
                file.seek(sections[link][4])
                return file.read(sections[link][5]).split(b"\0")
    return []
