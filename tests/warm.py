"""`mnist-cnn`, or a few lines of Python, in a process of its own, started in milliseconds: a warm Python, which has imported everything and trained nothing, forks for each command.

The tests use `start`, `command` and `program`, which look like `subprocess.Popen` and `subprocess.run`. A child has default signals (a job in the background
may have inherited an ignored Ctrl-C), its own environment, folder and files, and the umask of who starts it, and ends with the code of `cli.main`. What the start of a process itself
does is tested with real processes, in test_cli.py and test_package.py.
"""
import atexit, array, contextlib, json, os, select, signal, socket, subprocess, sys, tempfile, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Started:
    "A command under way, as `subprocess.Popen` shows one"
    def __init__(self, args, env=None, cwd=None, stdout=subprocess.PIPE, stderr=subprocess.PIPE, before=None, program=None):
        self.args, self.returncode, self._files = [str(a) for a in args], None, {}
        fds, mine = [], []
        for name, wanted in ("stdout", stdout), ("stderr", stderr):
            if wanted is subprocess.PIPE:
                read, write = os.pipe()
                self._files[name] = open(read, encoding="utf-8", errors="replace")
                mine.append(write)
                fds.append(write)
            elif wanted is subprocess.STDOUT: fds.append(fds[0])
            else: fds.append(wanted if isinstance(wanted, int) else wanted.fileno())
        self.stdout, self.stderr = self._files.get("stdout"), self._files.get("stderr")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(_address())
        os.umask(umask := os.umask(0))
        request = json.dumps(dict(umask=umask, args=self.args, env=dict(os.environ if env is None else env), cwd=str(cwd or os.getcwd()), before=before, program=program)).encode()
        self._socket.sendmsg([len(request).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        self._socket.sendall(request)
        for fd in mine: os.close(fd)
        self.pid = int.from_bytes(self._exactly(4), "big")

    def _exactly(self, n):
        got = b""
        while len(got) < n:
            part = self._socket.recv(n - len(got))
            if not part: raise RuntimeError("the warm process has ended")
            got += part
        return got

    def poll(self):
        "The exit code, or None"
        if self.returncode is None and select.select([self._socket], [], [], 0)[0]: self.returncode = int.from_bytes(self._exactly(4), "big", signed=True)
        return self.returncode

    def wait(self, timeout=None):
        "The exit code"
        if self.returncode is None:
            if not select.select([self._socket], [], [], timeout)[0]: raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = int.from_bytes(self._exactly(4), "big", signed=True)
        return self.returncode

    def communicate(self, timeout=120):
        "What it prints from here on, on both files"
        found = {}
        readers = [threading.Thread(target=lambda n=n, f=f: found.__setitem__(n, f.read()), daemon=True) for n, f in self._files.items()]
        for r in readers: r.start()
        end = time.monotonic() + timeout
        for r in readers: r.join(max(0, end - time.monotonic()))
        if any(r.is_alive() for r in readers):
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(timeout)
        return found.get("stdout"), found.get("stderr")

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError): os.kill(self.pid, number)  # it may have ended by itself, as for `subprocess`
    def kill(self): self.send_signal(signal.SIGKILL)


_warm = None

def _address():
    "Where the warm process listens; it is started when first asked for, and ends with this one"
    global _warm
    if _warm is None or _warm[0].poll() is not None:
        path = str(Path(tempfile.mkdtemp(prefix="warm")) / "s")
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        process = subprocess.Popen([sys.executable, __file__, path], env=env, stdin=subprocess.PIPE)
        while not os.path.exists(path):
            if process.poll() is not None: raise RuntimeError("the warm process did not start")
            time.sleep(0.02)
        _warm = process, path
        atexit.register(process.kill)
    return _warm[1]


def start(*args, **kwargs):
    "Start `mnist-cnn` with these words"
    return Started(args, **kwargs)


def command(*args, timeout=300, **kwargs):
    "Run `mnist-cnn` with these words, to its end"
    process = start(*args, **kwargs)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out or "", err or "")


def program(text, timeout=300, **kwargs):
    "Run Python's lines, to their end"
    process = Started([], program=text, **kwargs)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(["python", "-c", text], process.returncode, out or "", err or "")


def _child(request, fds):
    "In the copy: become the command"
    for number in range(1, signal.NSIG):
        if number in (signal.SIGKILL, signal.SIGSTOP): continue
        try: signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError): pass
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in "SIGPIPE", "SIGXFSZ": signal.signal(getattr(signal, name), signal.SIG_IGN)  # as Python does
    signal.set_wakeup_fd(-1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(fds[0], 1)
    os.dup2(fds[1], 2)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    sys.argv = ["mnist-cnn", *request["args"]]
    code = 1
    try:
        if request["before"]: exec(request["before"], {"__name__": "before"})
        from mnist_cnn import cli
        try: code = exec(request["program"], {"__name__": "__main__"}) or 0 if request["program"] else cli.main(request["args"])
        except SystemExit as e: code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
        for f in sys.stdout, sys.stderr: f.flush()
    except BrokenPipeError: pass
    except BaseException as e:
        code = 120 if isinstance(e, OSError) else 1
        try: sys.excepthook(*sys.exc_info())
        except BaseException: pass
        try: sys.stderr.flush()
        except BaseException: pass
    os._exit(code)


def serve(path):
    "Fork for each request; tell each its child's number, and its exit code when it has ended"
    import matplotlib.backends.backend_agg, matplotlib.figure, torch, torch.distributed, tqdm, filelock  # noqa: F401
    import mnist_cnn.checkpoint, mnist_cnn.cli, mnist_cnn.distributed, mnist_cnn.evaluation, mnist_cnn.recipes, mnist_cnn.speed  # noqa: F401
    from PIL import Image
    Image.init()
    torch.set_num_threads(1)
    ends = socket.socketpair()
    for s in ends: s.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the tests themselves
    signal.set_wakeup_fd(ends[1].fileno(), warn_on_full_buffer=False)
    listening, children = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), {}
    listening.bind(path)
    listening.listen(32)
    while True:
        ready, _, _ = select.select([listening, ends[0], sys.stdin], [], [])
        if sys.stdin in ready: return  # the tests have ended
        if ends[0] in ready:
            ends[0].recv(4096)
            while children:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid: break
                connection = children.pop(pid)
                try: connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
                except OSError: pass
                connection.close()
        if listening in ready:
            connection, _ = listening.accept()
            head, fds, _, _ = socket.recv_fds(connection, 4, 2)
            request = b""
            while len(request) < int.from_bytes(head, "big"): request += connection.recv(65536)
            pid = os.fork()
            if not pid: _child(json.loads(request), fds)
            for fd in fds: os.close(fd)
            children[pid] = connection
            connection.sendall(pid.to_bytes(4, "big"))


if __name__ == "__main__": serve(sys.argv[1])
