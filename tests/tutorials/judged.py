"""A pytest plugin that lets one execution of a notebook feed two judges.

nbval executes the cells and compares their text. It skips pictures and never sees the state of widgets. While it runs,
this plugin listens on the same kernel; after the last cell the fresh notebook is put together and compared with the
stored one by ``weightlore.teaching.compare``. The kernel runs without network, in one thread.
"""

import copy
import os

import pytest
from nbclient import NotebookClient
from nbval.plugin import IPyNbCell, IPyNbFile

from weightlore.teaching import budget, compare
from weightlore.teaching.notebooks import ANNOUNCE, run_offline


class JudgedFile(IPyNbFile):
    """A notebook whose kernel is offline, and whose messages are kept."""

    def collect(self):
        for item in super().collect():
            if not hasattr(self, "stored"):
                self.stored = copy.deepcopy(self.nb)  # nbval joins streams in its own copy while it compares
            yield item
        yield ShownItem.from_parent(self, name="pictures, widgets and alt texts")
        yield BudgetItem.from_parent(self, name="budget")

    def setup(self):
        self.listener = NotebookClient(copy.deepcopy(self.stored))  # knows how widgets' messages become their state
        self.executed = {}
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(run_offline())
            super().setup()
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.kernel.await_reply(self.kernel.kc.execute(ANNOUNCE, silent=True), timeout=60)

    def get_kernel_message(self, timeout=None, stream="iopub"):
        message = super().get_kernel_message(timeout, stream)
        if message["msg_type"].startswith("comm"):
            self.listener.handle_comm_msg([], message, 0)
        return message

    def spent(self):
        """Seconds of the processor in the kernel so far, which a busy machine does not lengthen."""
        asked = self.kernel.kc.execute("", silent=True, user_expressions={"s": "__import__('time').process_time()"})
        while True:
            message = self.kernel.get_message("shell", timeout=60)
            if message["parent_header"].get("msg_id") == asked:
                return float(message["content"]["user_expressions"]["s"]["data"]["text/plain"])

    def fresh(self):
        """The notebook as this execution shows it; skips if only some of its cells were chosen to run."""
        fresh = copy.deepcopy(self.stored)
        code = [cell for cell in fresh.cells if cell.cell_type == "code"]
        if len(self.executed) < len(code):
            pytest.skip("not all cells were run")
        for number, cell in enumerate(code):
            cell.outputs, cell.execution_count = self.executed[number], number + 1
        fresh.metadata.pop("widgets", None)
        self.listener.nb = fresh
        self.listener.set_widgets_metadata()
        return fresh


class JudgingItem(pytest.Item):
    """Fails with one line for each complaint."""

    def runtest(self):
        complaints = self.complaints()
        assert not complaints, f"{self.path.name}:\n" + "\n".join(complaints)

    def repr_failure(self, excinfo):
        return str(excinfo.value)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: {self.name}"


class ShownItem(JudgingItem):
    def complaints(self):
        return compare(self.parent.stored, self.parent.fresh())


class BudgetItem(JudgingItem):
    def complaints(self):
        return budget(self.parent.stored, seconds=self.parent.spent())


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    collected = yield
    return [JudgedFile.from_parent(parent, path=file_path) if type(x) is IPyNbFile else x for x in collected]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    finally:
        if isinstance(item, IPyNbCell) and item.test_outputs is not None:
            item.parent.executed[item.cell_num] = copy.deepcopy(item.test_outputs)
