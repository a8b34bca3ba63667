"""What agents, CI, editors, builds and shells obey is not written for a model."""

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

FREE = (
    "a.py", "src/git/client.py", "docs/agents-guide.md", "README.md", "hooks/useThing.ts", "tests/test_make.py",
    "x.lock.py", "build/gen.py", "configuration.py", "package.py", "makefile_parser.py", "data/config.json",
    "CHANGELOG.md",
)  # fmt: skip

ONLY_WHEN_NAMED = ("conftest.py", "tests/conftest.py", "deploy.sh", "pkg/__main__.py", "run.BAT")


@pytest.mark.parametrize("path", PROTECTED)
def test_what_is_obeyed_rather_than_read_is_protected_even_when_named(path: str):
    assert Protection().why_not(PurePosixPath(path), is_named=True) is not None


@pytest.mark.parametrize("path", FREE)
def test_sources_and_documents_are_free(path: str):
    assert Protection().why_not(PurePosixPath(path), is_named=False) is None


@pytest.mark.parametrize("path", ONLY_WHEN_NAMED)
def test_what_runs_without_being_asked_for_is_written_only_for_a_caller_who_names_it(path: str):
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
def test_the_users_config_may_allow_what_is_protected(allowed: str, path: str):
    assert Protection().why_not(PurePosixPath(path), is_named=True) is not None
    assert Protection((allowed,)).why_not(PurePosixPath(path), is_named=True) is None


def test_version_control_is_never_allowed():
    assert Protection((".git/", "*", ".git/hooks/*")).why_not(PurePosixPath(".git/hooks/pre-commit"), is_named=True)


def test_the_refusal_says_how_to_allow_it():
    said = Protection().why_not(PurePosixPath("sub/AGENTS.md"), is_named=True)

    assert said == (
        'is agent configuration; allow it by [apply] allow = ["sub/AGENTS.md"] in config.toml, or write it yourself'
    )
