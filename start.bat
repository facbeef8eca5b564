@echo off
rem Draw a picture on Windows:  start.bat "a red apple"
rem Windows runs no PowerShell scripts unless told to; this tells it, for this one only. See start.ps1.
rem Without delayed expansion, so that an exclamation mark in a prompt stays one.
setlocal DisableDelayedExpansion
where powershell.exe >nul 2>nul
if errorlevel 1 (
    echo nutshell: error: Windows PowerShell was not found 1>&2
    echo hint: install Python from https://www.python.org/downloads/ and run:  python -m pip install . 1>&2
    exit /b 1
)
powershell.exe -NoLogo -NoProfile -ExecutionPolicy Bypass -File "%~dp0start.ps1" %*
set code=%errorlevel%
rem A double click opens a window that would close before anything can be read.
if "%~1"=="" echo %cmdcmdline% | find /i "%~f0" >nul && pause
exit /b %code%
