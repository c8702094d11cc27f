from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework_api_key.permissions import HasAPIKey


class IsUserOrHasKey(BasePermission):
    def has_permission(self, request, view):
        return IsAuthenticated().has_permission(request, view) or HasAPIKey().has_permission(request, view)
