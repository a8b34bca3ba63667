"""Protected files: configuration of agents, CI, editors, builds and shells is not written for a model."""

from pathlib import PurePosixPath

import pytest

from chargehand.tools.editing.protected import Protection

PROTECTED = (
    ".git/hooks/pre-commit", ".git", "sub/.GIT/config", ".g\u200cit/config", ".git /config", "GIT~1/config",
    ".git::$INDEX_ALLOCATION/hooks/x", ".github/workflows/ci.yml", ".gitlab-ci.yml", ".vscode/tasks.json",
    ".idea/x.xml", ".claude/settings.json", "CLAUDE.md", "docs/claude.md", "AGENTS.md", "agents.override.md",
    "GEMINI.md", ".cursor/rules", ".cursorrules", ".mcp.json", "mcp.json", ".env", ".npmrc", "Makefile", "makefile",
    "GNUmakefile", "x.mk", "pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "noxfile.py",
    "requirements-dev.txt", "uv.lock", "a.pth", "sitecustomize.py", "package.json", "package-lock.json",
    "vite.config.ts", "jest.config.cjs", "Cargo.toml", "build.rs", "go.mod", "pom.xml", "build.gradle.kts",
    "Gemfile", "Rakefile", "Dockerfile", "dockerfile.dev", "docker-compose.yml", "Jenkinsfile", "hooks/pre-commit",
    "githooks/commit-msg", "id_rsa", "server.pem", "App.xcodeproj/project.pbxproj", "CMakeLists.txt", "BUILD.bazel",
    "x.code-workspace", ".pre-commit-config.yaml", "lefthook.yml", "Justfile", "\uff23LAUDE.md", "claude.md.",
)  # fmt: skip

UNPROTECTED = (
    "a.py", "src/git/client.py", "docs/agents-guide.md", "README.md", "hooks/useThing.ts", "tests/test_make.py",
    "x.lock.py", "build/gen.py", "configuration.py", "package.py", "makefile_parser.py", "data/config.json",
    "CHANGELOG.md",
)  # fmt: skip

ONLY_WHEN_NAMED = ("conftest.py", "tests/conftest.py", "deploy.sh", "pkg/__main__.py", "run.BAT")


@pytest.mark.parametrize("path", PROTECTED)
def test_configuration_and_key_files_are_protected_even_when_named(path: str):
    assert Protection().why_not(PurePosixPath(path), is_named=True) is not None


@pytest.mark.parametrize("path", UNPROTECTED)
def test_sources_and_documents_are_not_protected(path: str):
    assert Protection().why_not(PurePosixPath(path), is_named=False) is None


@pytest.mark.parametrize("path", ONLY_WHEN_NAMED)
def test_files_that_run_implicitly_are_written_only_if_the_caller_names_them(path: str):
    assert Protection().why_not(PurePosixPath(path), is_named=True) is None
    assert "name it as `target`" in (Protection().why_not(PurePosixPath(path), is_named=False) or "")


@pytest.mark.parametrize(
    ("allowed", "path"),
    [
        ("pyproject.toml", "sub/PyProject.toml"),
        (".github/", ".github/workflows/ci.yml"),
        (".github/workflows/*.yml", ".github/workflows/ci.yml"),
        ("docs/", "docs/Makefile"),
    ],
)
def test_the_users_config_can_allow_protected_files(allowed: str, path: str):
    assert Protection().why_not(PurePosixPath(path), is_named=True) is not None
    assert Protection((allowed,)).why_not(PurePosixPath(path), is_named=True) is None


def test_version_control_files_can_never_be_allowed():
    assert Protection((".git/", "*", ".git/hooks/*")).why_not(PurePosixPath(".git/hooks/pre-commit"), is_named=True)


def test_the_reason_states_how_to_allow_the_file():
    reason = Protection().why_not(PurePosixPath("sub/AGENTS.md"), is_named=True)

    assert reason == (
        'is agent configuration; allow it by [apply] allow = ["sub/AGENTS.md"] in config.toml, or write it yourself'
    )
