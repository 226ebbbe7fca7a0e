//! Generators and compilers: Debian packages, and packages of npm and PyPI with exact versions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Places, published};
use crate::console;
use crate::process::{Program, is_on_path};
use crate::provision::install_packages;
use crate::registry::{self, Environment, Registry, once};

/// A program, or a file where no program tells, and the Debian package that brings it.
const NEEDS: [(&str, &str); 11] = [
    ("node", "nodejs"),
    ("npm", "npm"),
    ("java", "default-jre-headless"),
    ("python3", "python3"),
    ("mono", "mono-runtime"),
    ("mcs", "mono-mcs"),
    (NEWTONSOFT, "libnewtonsoft-json5.0-cil"),
    (
        "/usr/lib/mono/4.5/System.Net.Http.dll",
        "libmono-system-net-http4.0-cil",
    ),
    (
        "/usr/lib/mono/4.5/System.Web.dll",
        "libmono-system-web4.0-cil",
    ),
    (
        "/usr/lib/mono/4.5/System.ComponentModel.DataAnnotations.dll",
        "libmono-system-componentmodel-dataannotations4.0-cil",
    ),
    (
        "/usr/lib/mono/4.5/System.Runtime.Serialization.dll",
        "libmono-system-runtime-serialization4.0-cil",
    ),
];
const NEWTONSOFT: &str = "/usr/lib/cli/Newtonsoft.Json-5.0/Newtonsoft.Json.dll";

/// Assemblies of the class library that the generated C# needs.
const ASSEMBLIES: [&str; 5] = [
    "System.ComponentModel.DataAnnotations",
    "System.Net.Http",
    "System.Runtime.Serialization",
    "System.Web",
    "System.Xml",
];

/// Sources without the pages and empty tests that the generator makes as well.
const SOURCES_ALONE: &str = "apis,models,supportingFiles,\
     apiDocs=false,modelDocs=false,apiTests=false,modelTests=false";

/// Installs the Debian packages that are missing.
pub(super) fn provide(root: &Path) -> Result<()> {
    let missing = |(name, _): &&(&str, &str)| {
        if name.starts_with('/') {
            !Path::new(name).is_file()
        } else {
            !is_on_path(name)
        }
    };
    let needs = NEEDS.iter().filter(missing);
    let mut packages: Vec<&str> = needs.map(|(_, package)| *package).collect();
    packages.extend(registry::missing_for_environments(root));
    if packages.is_empty() {
        console::line("node, npm, java, python3, mono, mcs and their libraries found");
    }
    install_packages(root, &packages)
}

/// Brings the packages of npm and PyPI; done at once when the lists have not changed.
pub(super) fn bring(places: &Places) -> Result<()> {
    let typescript = places.made.join("typescript");
    published::copy(&places.published.join("typescript"), &typescript)?;
    once(
        &typescript.join("package-lock.json"),
        &typescript.join("node_modules"),
        || {
            let install = Program::new("npm", &typescript).arguments(&[
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ]);
            registry::fetch(install, Registry::Npm)
        },
    )?;
    let environment = environment(places);
    for list in ["generator/requirements.txt", "python/requirements.txt"] {
        environment.bring(&places.published.join(list))?;
    }
    Ok(())
}

fn environment(places: &Places) -> Environment {
    Environment::at(places.made.join("environment"))
}

/// The Python that has the packages.
pub(super) fn python(places: &Places) -> PathBuf {
    environment(places).python()
}

/// Types of the document.
pub(super) fn openapi_typescript(places: &Places, document: &Path, output: &Path) -> Result<()> {
    let script = "node_modules/openapi-typescript/bin/cli.js";
    Program::new("node", &places.made.join("typescript"))
        .arguments(&[script.as_ref(), document.as_os_str()])
        .arguments(&["--output".as_ref(), output.as_os_str()])
        .run()
}

/// Sources of a client, by the settings in `clients/generator/<language>.json`.
pub(super) fn openapi_generator(
    places: &Places,
    document: &Path,
    language: &str,
    output: &Path,
) -> Result<()> {
    let settings = places.published.join("generator");
    fs::create_dir_all(output)?;
    fs::copy(
        settings.join("ignored"),
        output.join(".openapi-generator-ignore"),
    )?;
    let find = "import openapi_generator_cli, pathlib; \
                print(pathlib.Path(openapi_generator_cli.__file__).parent)";
    let folder = Program::new(python(places), &places.made)
        .arguments(&["-c", find])
        .output()?;
    let jar = Path::new(folder.trim()).join("openapi-generator.jar");
    let configuration = settings.join(format!("{language}.json"));
    Program::new("java", &places.made)
        .arguments(&["-jar".as_ref(), jar.as_os_str(), "generate".as_ref()])
        .arguments(&["--input-spec".as_ref(), document.as_os_str()])
        .arguments(&["--generator-name", language])
        .arguments(&["--config".as_ref(), configuration.as_os_str()])
        .arguments(&["--output".as_ref(), output.as_os_str()])
        .arguments(&["--global-property", SOURCES_ALONE])
        // Not shown when it goes well: its log names every file.
        .output()
        .map(|_| console::line(&format!("$ openapi-generator generate -g {language}")))
}

/// The library and its tests by the compiler of Mono, which has no NuGet: `tests/stand-in` has
/// the names of packages that Debian lacks.
pub(super) fn compile_csharp(folder: &Path) -> Result<()> {
    let build = folder.join("build");
    fs::create_dir_all(&build)?;
    fs::copy(NEWTONSOFT, build.join("Newtonsoft.Json.dll"))?;
    let mcs = |output: &str, target: &str| {
        let references = ASSEMBLIES.map(|name| format!("-reference:{name}"));
        Program::new("mcs", folder)
            .arguments(&["-langversion:latest", "-nologo", "-warn:2"])
            .arguments(&[format!("-target:{target}"), format!("-out:build/{output}")])
            .arguments(&["-reference:build/Newtonsoft.Json.dll"])
            .arguments(&references)
    };
    mcs("Kurs.Client.dll", "library")
        .arguments(&["-recurse:src/*.cs", "-recurse:tests/stand-in/*.cs"])
        .run()?;
    mcs("tests.exe", "exe")
        .arguments(&["-reference:build/Kurs.Client.dll", "tests/Tests.cs"])
        .run()
}
