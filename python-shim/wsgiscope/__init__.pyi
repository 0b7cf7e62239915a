# SPDX-License-Identifier: BSD-2-Clause
from typing import Any, Callable, Optional, TypeVar, overload

__version__: str

_Application = TypeVar("_Application", bound=Callable[..., Any])

@overload
def mark(application: _Application, *, name: Optional[str] = ...) -> _Application: ...
@overload
def mark(*, name: Optional[str] = ...) -> Callable[[_Application], _Application]: ...
