# Draw a picture on Windows:  start.bat "a red apple"      (or: powershell -ExecutionPolicy Bypass -File start.ps1 ...)
#
#   start.bat [--yes] [--repair] [arguments of nutshell]
#
# Does what start.sh does elsewhere: the first start prepares a Python environment in .venv beside this file, or in
# %LOCALAPPDATA%\nutshell where that folder cannot hold one; later starts go straight to the program. Packages come
# from the folder wheels\ beside this file if there is one, without any network.
# --yes: install a missing Python without asking.  --repair: prepare everything anew.
#
# For Windows PowerShell 5.1, which every Windows 10 and 11 has. This file is plain ASCII, for 5.1 reads a script
# without a byte-order mark in the system's code page.

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$NeedMB = 900 # what start.sh measured on Linux, and some more
$Versions = '3.13', '3.12', '3.11', '3.10', '3.14'
# The same for every program that is started here, whatever the console's code page is.
$env:PYTHONUTF8 = '1'
foreach ($name in 'PYTHONHOME', 'PYTHONPATH', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_USER', 'PIP_ROOT') {
    Remove-Item -ErrorAction SilentlyContinue -LiteralPath "Env:$name"
}

trap {
    [Console]::Error.WriteLine("nutshell: error: $_")
    [Console]::Error.WriteLine("hint: start again with --repair; if that does not help, report this with line $($_.InvocationInfo.ScriptLineNumber)")
    exit 1
}

function Say([string] $text) { [Console]::Error.WriteLine("nutshell: $text") }
function Fail([string] $what, [string] $hint) {
    Say "error: $what"
    if ($hint) { [Console]::Error.WriteLine("hint: $hint") }
    exit 1
}

# A program's exit code, with what it writes in $script:Said. PowerShell 5.1 makes an error of every line that a
# program writes to its standard error, so that stream is joined under 'Continue'.
function Invoke-Quietly([string] $program, [string[]] $words) {
    $ErrorActionPreference = 'Continue'
    try {
        $script:Said = (& $program @words 2>&1 | ForEach-Object { "$_" }) -join "`n"
        return $LASTEXITCODE
    } catch {
        $script:Said = "$_"
        return 9009
    }
}

# ---- where things lie

$Here = $PSScriptRoot
if (-not $Here) { Fail 'this script must be run from its file' 'start it with start.bat, which lies beside it' }
$Wheels = Join-Path $Here 'wheels'
if (-not (Test-Path -LiteralPath $Wheels -PathType Container)) { $Wheels = $null }
$Project = Join-Path $Here 'pyproject.toml'
$Lock = Join-Path $Here 'requirements.lock'
if ($Wheels -and -not (Test-Path -LiteralPath $Lock)) { $Lock = Join-Path $Wheels 'requirements.lock' }
if (-not (Test-Path -LiteralPath $Lock)) {
    Fail "requirements.lock is missing in $Here" 'copy the whole folder of Nutshell again'
}
$Wheel = $null
if ($Wheels) { $Wheel = Get-ChildItem -LiteralPath $Wheels -Filter 'nutshell-*.whl' | Sort-Object Name | Select-Object -Last 1 }
if (-not $Wheel -and -not (Test-Path -LiteralPath $Project)) {
    Fail "$Here holds start.ps1 but nothing to install" 'copy the whole folder of Nutshell, or a folder wheels with it'
}

# What is installed and from what: a change of it prepares anew. By size and date, for a stick is slow to read.
function Get-Wanted {
    $lines = @()
    foreach ($file in $Project, $Lock) {
        if (Test-Path -LiteralPath $file) { $lines += [IO.File]::ReadAllText($file) }
    }
    if ($Wheel) {
        $lines += "wheel $($Wheel.Name) $($Wheel.Length)"
    } elseif (Test-Path -LiteralPath (Join-Path $Here '.git')) {
        $lines += "editable $Here"
    } else {
        $sources = Get-ChildItem -LiteralPath (Join-Path $Here 'src') -Recurse -File | Where-Object { $_.Extension -ne '.pyc' }
        $lines += ($sources | ForEach-Object { "$($_.Name) $($_.Length)" })
    }
    $hash = [Security.Cryptography.SHA256]::Create()
    try {
        $bytes = $hash.ComputeHash([Text.Encoding]::UTF8.GetBytes($lines -join "`n"))
    } finally {
        $hash.Dispose()
    }
    return [BitConverter]::ToString($bytes)
}

function Get-Program([string] $place) { return [IO.Path]::Combine($place, 'Scripts', 'nutshell.exe') }
function Get-Python([string] $place) { return [IO.Path]::Combine($place, 'Scripts', 'python.exe') }

# The file .ready is written last: what was installed, the Python it was made from, and every package's folder.
function Test-Ready([string] $place) {
    $mark = Join-Path $place '.ready'
    if (-not ((Test-Path -LiteralPath $mark) -and (Test-Path -LiteralPath (Get-Program $place)))) { return $false }
    $lines = [IO.File]::ReadAllLines($mark)
    if ($lines.Count -lt 3 -or $lines[0] -ne "$Wanted $place") { return $false }
    foreach ($path in $lines[1..($lines.Count - 1)]) {
        if (-not (Test-Path -LiteralPath $path)) { return $false }
    }
    return $true
}

function Test-Writable([string] $folder) {
    $probe = Join-Path $folder ".nutshell-probe-$PID"
    try {
        [void] [IO.Directory]::CreateDirectory($folder)
        [IO.File]::WriteAllText($probe, 'x')
        [IO.File]::Delete($probe)
        return $true
    } catch {
        return $false
    }
}

function Get-FreeMB([string] $folder) {
    try {
        return [int] ([IO.DriveInfo]::new([IO.Path]::GetPathRoot($folder)).AvailableFreeSpace / 1048576)
    } catch {
        return $NeedMB # a network folder says nothing
    }
}

function Get-Places {
    $places = @((Join-Path $Here '.venv'))
    if ($env:LOCALAPPDATA) { $places += [IO.Path]::Combine($env:LOCALAPPDATA, 'nutshell', 'venv') }
    return $places
}

function Select-Place {
    $first = $null
    foreach ($place in Get-Places) {
        $folder = Split-Path -Parent $place
        if (-not (Test-Writable $folder)) { continue }
        if (-not $first) { $first = $place }
        if ((Test-Path -LiteralPath $place) -or (Get-FreeMB $folder) -ge $NeedMB) { return $place }
    }
    if (-not $first) { Fail "neither $Here nor LOCALAPPDATA can be written" 'start from a folder of yours' }
    return $first
}

# ---- Python

# Windows has a python.exe that only opens the store, so each is run, and says its version and where it is.
$Examine = 'import sys, venv, ensurepip; sys.exit(1) if sys.version_info < (3, 10) or sys.maxsize < 2**32 else print(chr(31).join([str(sys.version_info[1]), sys.executable]))'

function Test-Fits([string] $minor) { # numpy has a wheel of its own for every version
    if (-not $Wheels) { return $true }
    $all = @(Get-ChildItem -LiteralPath $Wheels -Filter 'numpy-*.whl')
    return $all.Count -eq 0 -or @($all | Where-Object { $_.Name -like "numpy-*-cp3$minor-*" }).Count -gt 0
}

function Find-Python {
    $script:Other = $null
    $tries = @()
    foreach ($version in $Versions) { $tries += , @('py.exe', "-$version") }
    $tries += , @('python.exe')
    $tries += , @('python3.exe')
    if ($env:LOCALAPPDATA) { # where the installer and winget put it; the PATH of this window may be older than that
        foreach ($version in $Versions) {
            $folder = 'Python' + $version.Replace('.', '')
            $tries += , @([IO.Path]::Combine($env:LOCALAPPDATA, 'Programs', 'Python', $folder, 'python.exe'))
        }
    }
    foreach ($try in $tries) {
        if (-not (Get-Command -ErrorAction SilentlyContinue -CommandType Application -Name $try[0])) { continue }
        $words = @($try | Select-Object -Skip 1) + @('-c', $Examine)
        if ((Invoke-Quietly $try[0] $words) -ne 0) { continue }
        $minor, $path = $script:Said.Trim().Split([char] 31)
        if (Test-Fits $minor) { return $path }
        $script:Other = $minor
    }
    return $null
}

function Install-Python {
    $needed = 'Python 3.10 or newer (64 bits) is needed, and was not found'
    $byHand = 'install it from https://www.python.org/downloads/ or from the Microsoft Store, then start again'
    if ($script:Other) {
        Fail "the folder $Wheels holds packages for another Python than 3.$($script:Other), which this machine has" `
            "make the folder again:  python tools\make_wheels.py --platform windows --python 3.$($script:Other)"
    }
    if (-not (Get-Command -ErrorAction SilentlyContinue winget.exe)) { Fail $needed $byHand }
    $line = 'winget install --exact --id Python.Python.3.12 --scope user --accept-package-agreements --accept-source-agreements'
    Say "$needed."
    if (-not $Yes) {
        if ([Console]::IsInputRedirected) { Fail 'nothing was installed' "run:  $line   (or start again with --yes)" }
        if ((Read-Host "Install it now?  $line`n[Y/n]") -match '^[nN]') { Fail 'nothing was installed' "run:  $line" }
    }
    $ErrorActionPreference = 'Continue'
    $words = $line.Split(' ') | Select-Object -Skip 1
    & winget.exe @words | Out-Host
    if ($LASTEXITCODE -ne 0) { Fail 'winget could not install Python (its messages stand above)' $byHand }
}

# ---- the environment

function Remove-Broken([string] $place) {
    if (-not (Test-Path -LiteralPath $place)) { return }
    try {
        # First: whatever is broken off from here on, this is not taken for whole.
        [IO.File]::Delete((Join-Path $place '.ready'))
        Remove-Item -LiteralPath $place -Recurse -Force
    } catch {
        Fail "cannot remove the broken environment $place ($_)" 'close every program that uses it, delete that folder, then start again'
    }
}

function Stop-Prepare([string] $place, [string] $what, [string] $log) {
    $said = ''
    if (Test-Path -LiteralPath $log) { $said = [IO.File]::ReadAllText($log) }
    ($said -split "`r?`n") | Where-Object { $_ -match 'error|warning|retrying' } | Select-Object -Last 4 | ForEach-Object { [Console]::Error.WriteLine($_) }
    $free = Get-FreeMB (Split-Path -Parent $place)
    Remove-Broken $place # gives the space back; what was downloaded stays in pip's cache
    if ($said -match 'no space left|not enough space' -or $free -lt 8) {
        Fail "${what}: the disk is full" "free $NeedMB MB, then start again"
    } elseif ($said -match 'ProxyError|connect to proxy|Tunnel connection failed|proxy authentication') {
        Fail "${what}: the proxy of this machine refused the connection" 'correct or remove HTTP_PROXY and HTTPS_PROXY, or ask who runs the proxy; then start again'
    } elseif ($said -match 'certificate') {
        Fail "${what}: the certificate of the package index was not accepted" 'look at the date of this machine; behind a gateway, set PIP_CERT to the file of its certificate; then start again'
    } elseif ($said -match 'do not match the hashes|BadZipFile|is not a zip|is invalid') {
        Fail "${what}: a package is damaged" 'copy or make the folder wheels again, then start again'
    } elseif ($said -match 'connection|timed out|getaddrinfo|max retries|unreachable') {
        Fail "${what}: the package index could not be reached" 'the first start needs a network, or the packages in a folder wheels beside start.bat (tools\make_wheels.py makes it); then start again'
    } elseif ($said -match 'no matching distribution') {
        Fail "${what}: there is no package for this system and its Python" "all of it: $log"
    } elseif ($said -match 'path.*too long|No such file or directory') {
        Fail "${what}: perhaps its path is too long for Windows" "move this folder to a short path such as C:\nutshell, then start again; all of it: $log"
    }
    Fail $what "all of it: $log; then start again"
}

function Invoke-Pip([string] $place, [string] $log, [string[]] $words) {
    $all = @('-m', 'pip', 'install', '--progress-bar', 'off', '--no-input', '--no-compile', '--disable-pip-version-check')
    if ($Wheels) { $all += '--no-index', '--find-links', $Wheels }
    $code = Invoke-Quietly (Get-Python $place) ($all + $words)
    [IO.File]::AppendAllText($log, $script:Said)
    if ($code -ne 0) { Stop-Prepare $place 'the packages could not be installed' $log }
}

function New-Environment([string] $python, [string] $place) {
    $folder = Split-Path -Parent $place
    Remove-Broken $place
    $free = Get-FreeMB $folder
    if ($free -lt $NeedMB) {
        Fail "the disk of $folder has $free MB free, and preparing needs $NeedMB MB" 'free some space there, then start again'
    }
    $log = "$place.log"
    [IO.File]::WriteAllText($log, '')
    Say "preparing, once; this takes some minutes (1/3: an environment in $place)"
    $code = Invoke-Quietly $python @('-m', 'venv', $place)
    [IO.File]::AppendAllText($log, $script:Said)
    if ($code -ne 0) { Stop-Prepare $place "$python could not make an environment" $log }

    # Downloads are unpacked on the disk whose space was checked.
    $temporary = Join-Path $place 'tmp'
    [void] [IO.Directory]::CreateDirectory($temporary)
    $before = $env:TEMP, $env:TMP
    $env:TEMP = $env:TMP = $temporary
    Say '2/3: the packages'
    Invoke-Pip $place $log @('--require-hashes', '-r', $Lock)
    Say '3/3: nutshell'
    if ($Wheel) {
        Invoke-Pip $place $log @('--no-deps', $Wheel.FullName)
    } elseif (Test-Path -LiteralPath (Join-Path $Here '.git')) {
        Invoke-Pip $place $log @('--no-deps', '--editable', $Here)
    } else {
        Invoke-Pip $place $log @('--no-deps', $Here)
    }
    $env:TEMP, $env:TMP = $before
    Remove-Item -LiteralPath $temporary -Recurse -Force -ErrorAction SilentlyContinue

    # The engines need Microsoft's C++ runtime, which a bare Windows lacks.
    $trial = 'import ctypes; [ctypes.WinDLL(name) for name in (''vcruntime140.dll'', ''vcruntime140_1.dll'', ''msvcp140.dll'')]'
    if ((Invoke-Quietly (Get-Python $place) @('-c', $trial)) -ne 0) {
        Say 'warning: the Microsoft Visual C++ runtime seems to be missing; if drawing fails, install it: https://aka.ms/vs/17/release/vc_redist.x64.exe'
    }

    $packages = Get-ChildItem -LiteralPath ([IO.Path]::Combine($place, 'Lib', 'site-packages')) | ForEach-Object { $_.FullName }
    $mark = Join-Path $place '.ready'
    [IO.File]::WriteAllLines("$mark.new", [string[]] (@("$Wanted $place", $python) + $packages))
    [IO.File]::Move("$mark.new", $mark)
    [IO.File]::Delete($log)
}

# ---- the start

$Yes = $false
$Repair = $false
$Words = @($args)
while ($Words.Count -gt 0 -and ($Words[0] -eq '--yes' -or $Words[0] -eq '--repair')) {
    if ($Words[0] -eq '--yes') { $Yes = $true } else { $Repair = $true }
    $Words = @($Words | Select-Object -Skip 1)
}
$Wanted = Get-Wanted
$Place = $null
if (-not $Repair) { $Place = Get-Places | Where-Object { Test-Ready $_ } | Select-Object -First 1 }
if (-not $Place) {
    $python = Find-Python
    if (-not $python) {
        Install-Python
        $python = Find-Python
        if (-not $python) { Fail 'Python was installed but is not found' 'open a new window and start again' }
    }
    $Place = Select-Place
    # Two starts at once: the second waits for the first. The system gives the lock back when a process dies.
    $lockFile = $null
    while (-not $lockFile) {
        try {
            $lockFile = [IO.File]::Open("$Place.lock", 'OpenOrCreate', 'ReadWrite', 'None')
        } catch [IO.IOException] {
            Start-Sleep -Seconds 1
        }
    }
    try {
        if ($Repair -or -not (Test-Ready $Place)) { New-Environment $python $Place }
    } finally {
        $lockFile.Dispose()
    }
}

# PowerShell before 7.3 does not escape quotes inside an argument.
if ($PSVersionTable.PSVersion -lt [Version] '7.3') {
    $Words = @($Words | ForEach-Object { ($_ -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1' })
}
$ErrorActionPreference = 'Continue' # what the program writes to its standard error is no failure of this script
& (Get-Program $Place) @Words
exit $LASTEXITCODE
